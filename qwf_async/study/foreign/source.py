"""Where studies are taken from: a text that names a log on Redis, a journal file or a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from ...client.address import Address
from ...client.failure import Redirected
from ...client.slots import slot_of
from ...errors import DamagedData, InvalidInput, Refused, UsageError
from ...settings import Settings
from ...settings import load as load_settings
from ...wording import phrase, quoted
from ..link import Server
from .found import Found
from .journal_file import JournalFile
from .rdb import BACKENDS, Database
from .redis_log import RedisLog

_REDIS: Final = ("redis", "rediss", "valkey", "valkeys", "unix", "redis+cluster", "rediss+cluster")
PATIENCE: Final = 5.0
"""Seconds that a server has for each reply."""
_LOG_NUMBER: Final = ":log_number"
_KEYS_SEEN: Final = 10_000
_LOGS_SEEN: Final = 20
_ENTRIES_SEEN: Final = 1_000
_SQLITE: Final = b"SQLite format 3\0"


class Source(Protocol):
    """Another storage of Optuna. `shown` names it, without a password, and is always the same for the same storage."""

    @property
    def shown(self) -> str: ...

    def read(self, *, skip_holes: bool = False) -> Found:
        """All its studies. Nothing is written there. Raises as the `read` of the one that it is."""


def source_of(text: str, *, settings: Settings | None = None) -> Source:
    """The storage that a text names: redis://…#prefix, sqlite:///…, mysql…, postgresql…, or the path of a file.

    Raises UsageError if it cannot be understood, InvalidInput if there is no such file. No server is asked.
    """
    scheme, separator, _ = text.partition("://")
    if separator and scheme in _REDIS:
        return _redis_log(text, load_settings() if settings is None else settings)
    if separator and scheme.partition("+")[0] in BACKENDS:
        return Database(text)
    if separator:
        raise UsageError(
            f"studies are not read from {quoted(scheme)}: name redis://…#prefix, sqlite:///…, mysql://…, "
            "postgresql://…, or a journal file"
        )
    path = Path(text)
    if not path.is_file():
        raise InvalidInput(f"there is no file {quoted(text)}")
    try:
        with path.open("rb") as file:
            is_sqlite = file.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        raise InvalidInput(f"cannot read {text}: {error.strerror}") from error
    return Database(f"sqlite:///{path.absolute()}") if is_sqlite else JournalFile(text)


def log_on(server: Server, prefix: str) -> RedisLog:
    """The log of JournalRedisBackend under a prefix on a server."""

    def get(keys: Sequence[bytes]) -> Sequence[bytes | None]:
        try:
            return server.pipeline([("GET", key) for key in keys])
        except Redirected:  # nodes of a cluster share the log among them
            slots: dict[int, list[int]] = {}
            for place, key in enumerate(keys):
                slots.setdefault(slot_of(key), []).append(place)
            found: list[bytes | None] = [None] * len(keys)
            for places in slots.values():
                replies = server.pipeline([("GET", keys[place]) for place in places])
                for place, reply in zip(places, replies, strict=True):
                    found[place] = reply
            return found

    return RedisLog(get, prefix, f"{server.shown}#{prefix}", server.close)


def has_foreign_study(server: Server, name: str) -> str | None:
    """What to say of a study of this name in a log of JournalRedisBackend on the server. None if none is seen there.

    Looked at are the logs without a prefix, with ours, with the study's name, and those among the first keys of
    each node; of each the first entries. Raises what the link raises.
    """
    prefixes = ["", server.prefix, name]
    for _, reply in server.on_each("SCAN", 0, "MATCH", f"*{_LOG_NUMBER}", "COUNT", _KEYS_SEEN):
        if not isinstance(reply, Exception):
            prefixes += [key.decode(errors="surrogateescape").removesuffix(_LOG_NUMBER) for key in reply[1]]
    for prefix in list(dict.fromkeys(prefixes))[:_LOGS_SEEN]:
        log = log_on(server, prefix)
        try:
            is_there = name in log.names(_ENTRIES_SEEN)
        except (DamagedData, Refused):
            continue  # a key of that name is of something else
        if is_there:
            command = phrase(
                command_line=f"qwf study migrate '{log.shown}' --study '{name}'",
                python=f"qwf_async.study.migrate({log.shown!r}, storage, study={name!r})",
            )
            return (
                f"a study of this name is in a log of Optuna's JournalRedisBackend: {command} takes it over"
            )
    return None


def _redis_log(text: str, settings: Settings) -> RedisLog:
    url, _, prefix = text.partition("#")
    own = Address.parse(url)
    # The password of the settings is for their server: no other is told it, and none whose URL has one.
    known = Address.parse(settings.url) if settings.url else None
    if own.wants_password or known is None or known.place != own.place:
        settings = replace(settings, password=None)
    return log_on(Server.open(url, settings=settings, after=PATIENCE), prefix)
