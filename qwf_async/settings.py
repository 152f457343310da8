"""Settings: one frozen object, put together from defaults < file < environment < flags.

Each value is checked by msgspec where it enters, so that an error can say whether a file,
a variable or a flag is to be mended. Whether a server answers at the URL, and whether the
URL parses, is not checked here but where it is used: this module must stay cheap to import.
"""

from __future__ import annotations

import difflib
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, get_args, get_type_hints

import msgspec
from msgspec import Meta

from .errors import UsageError
from .host.small_files import read_small_file
from .redis_config import ADDRESS, MEANINGLESS, OLDER, Said, plain_json, take_names, url_of

_YEAR: Final = 31_536_000

# \Z, because $ would let a line feed at the end pass, and the prefix becomes part of every key.
Prefix = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,128}\Z")]
Text = Annotated[str, Meta(min_length=1)]
Writers = Annotated[int, Meta(ge=1, le=64)]
Rate = Annotated[float, Meta(gt=0, le=1e12)]
Fraction = Annotated[float, Meta(gt=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=_YEAR)]
Timeout = Annotated[float, Meta(gt=0, le=_YEAR)]


def _default_data_dir() -> Path:
    import platformdirs

    return platformdirs.user_data_path("qwf_async")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a user can set; `load` makes one from file, environment and flags.

    Attributes
    ----------
    url: the server, `redis://…`, `rediss://…` or `unix://…`; None means the embedded server.
        Left out of the repr, because it may hold a password.
    data_dir: directory in which the embedded server keeps its data.
    prefix: first part of every key on the server.
    writers: connections that write at the same time.
    stream_bytes: encoded data that may wait between producer and writers, bytes.
    max_rate: most points written a second; None means no cap.
    high_watermark: share of the memory limit at which writing pauses and cleaning begins.
    low_watermark: share of the memory limit below which writing goes on.
    sample_interval: time between two looks at the server's memory, seconds.
    gate_timeout: how long writing may pause before an ingest gives up, seconds.
    memory_limit: memory that the server may use, bytes, where the server sets no limit
        itself; None means what the machine has.
    drain_timeout: how long an interrupted ingest may finish what is in flight, seconds.
    ownership_ttl: how long an ingest's claim on a name outlives its last renewal, seconds.
    keep_interrupted: age at which an interrupted load becomes expendable, seconds.
    clean_batch: fields looked at in one step of cleaning.
    deadline: how long a lost server is tried for, seconds.
    spool_after: how long a server may be away until batches go to the spool, seconds.
    spool_dir: directory of the spools; None means `spool` within data_dir.
    spool_limit: encoded data that a spool may hold, bytes; 0 means no spool.
    socket_timeout: how long a connection may go without any answer, seconds.
    socket_connect_timeout: how long opening a connection may take, seconds.
    health_check_interval: idle time after which a connection is checked, seconds; 0 means never.
    max_connections: most connections open at a time.
    password_file: file that holds the password; `load` reads it.
    password: the password, left out of the repr.
    tls_ca: file with the certificates to trust with `rediss://`, instead of the system's.
    tls_cert: file with the certificate that is shown to the server, if it wants one.
    tls_key: file with the key of tls_cert; None means that the key is in the same file.

    Raises UsageError if a value is out of its bounds, or low_watermark not below high_watermark.
    """

    url: Text | None = field(default=None, repr=False)
    data_dir: Path = field(default_factory=_default_data_dir)
    prefix: Prefix = "qwf"
    writers: Writers = 4
    stream_bytes: Annotated[int, Meta(ge=64 * 1024, le=2**40)] = 8 * 1024 * 1024
    max_rate: Rate | None = None
    high_watermark: Fraction = 0.85
    low_watermark: Fraction = 0.75
    sample_interval: Annotated[float, Meta(ge=0.01, le=60)] = 0.2
    gate_timeout: Seconds = 30.0
    memory_limit: Annotated[int, Meta(ge=2**20, le=2**50)] | None = None
    drain_timeout: Seconds = 10.0
    ownership_ttl: Annotated[float, Meta(ge=1, le=_YEAR)] = 30.0
    keep_interrupted: Seconds = 86_400.0
    clean_batch: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    deadline: Seconds = 60.0
    spool_after: Seconds = 0.5
    spool_dir: Path | None = None
    spool_limit: Annotated[int, Meta(ge=0, le=2**50)] = 8 * 2**30
    socket_timeout: Timeout = 4.0
    socket_connect_timeout: Timeout = 5.0
    health_check_interval: Seconds = 30.0
    max_connections: Annotated[int, Meta(ge=1, le=65_535)] = 50
    password_file: Path | None = None
    password: Text | None = field(default=None, repr=False)
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def __post_init__(self) -> None:
        for name, kind in _KINDS.items():
            value = _checked(name, getattr(self, name), "argument", kind=kind, text=False)
            object.__setattr__(self, name, value)
        _check_watermarks(self.low_watermark, self.high_watermark, {})

    @property
    def spool_directory(self) -> Path:
        """Where the spools are."""
        return self.spool_dir or self.data_dir / "spool"


_KINDS: Final[dict[str, Any]] = get_type_hints(Settings, include_extras=True)
_HIDDEN: Final = ("url", "host", "username", "password")
"""Names whose values may hold a password, if only by mistake."""

_SIZES: Final = ("stream_bytes", "memory_limit", "spool_limit")
_UNITS: Final = {
    "": 1, "b": 1, "k": 10**3, "kb": 2**10, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30
}  # fmt: skip # one line is easier to read than eight
"""Suffixes of sizes, as the server's own `maxmemory` takes them. Source: the head of redis.conf."""

_NOUNS: Final = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
_LIMITS: Final = {
    "ge": "at least",
    "gt": "above",
    "le": "at most",
    "min_length": "of length at least",
    "pattern": "matching",
}

_Found = dict[str, tuple[Any, str]]
"""Name → value, checked, and where it came from."""


def load(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    said: Said = warnings.warn,
    **flags: object,
) -> Settings:
    """The settings by defaults < file < environment < flags. Arguments and errors as for `trace`."""
    settings, _ = trace(file, environ=environ, said=said, **flags)
    return settings


def trace(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    said: Said = warnings.warn,
    **flags: object,
) -> tuple[Settings, dict[str, str]]:
    """The settings, and for each field where it came from.

    That is 'default', 'file PATH', 'environment QWF_X' or 'flag --x'.

    The file is `file`, else `$QWF_CONFIG`, else `config.toml` or `config.json` in the user's
    configuration directory, if there is one. TOML holds its keys at top level or in a table
    `[qwf]`; a file named `*.json` at top level or in one object of any name, and it may name
    the server by the older keys host, port, db, username, password and ssl, and have comments;
    `said` is told in one line which of redis-py's other keys are ignored. Relative paths in a
    file start from its directory. A null counts as not given.

    The environment (`environ`, else that of the process) has QWF_ and the field's name in
    capitals; the URL also as REDIS_URL. An empty variable counts as not set.

    `flags` are fields by name; None counts as not given. The password is no flag: it comes
    from QWF_PASSWORD or from what `password_file` names, whichever ranks higher.

    Raises UsageError if the file, the password file or any value, even one that is overridden,
    cannot be used; its one line never holds a password.
    """
    environment = os.environ if environ is None else environ
    defaults = Settings()
    found: _Found = {name: (getattr(defaults, name), "default") for name in _KINDS}
    for layer in (_from_file(file, environment, said), _from_environment(environment), _from_flags(flags)):
        if "password_file" in layer:
            found["password"] = (None, "default")
        found |= layer
    secret, origin = found["password_file"]
    if secret is not None and found["password"][0] is None:
        found["password"] = _read_password(secret, origin)
    origins = {name: origin for name, (_, origin) in found.items()}
    values = {name: value for name, (value, _) in found.items()}
    _check_watermarks(values["low_watermark"], values["high_watermark"], origins)
    return Settings(**values), origins


def _from_file(file: Path | None, environ: Mapping[str, str], said: Said) -> _Found:
    path = file or _usual_file(environ)
    if path is None:
        return {}
    origin = f"file {path}"
    older = path.suffix.lower() == ".json"
    entries = _entries(_parsed(path, older=older), origin, older=older)
    for name in entries:
        if name == "password" and not older:
            raise UsageError(
                f"password ({origin}) must not stand here: name a file that holds it by password_file"
            )
        if name not in _KINDS and not (older and name in OLDER):
            raise UsageError(f"unknown key {_shown('', name)} ({origin}): the nearest is {_nearest(name)!r}")
    entries = {name: value for name, value in entries.items() if value is not None}
    if older:
        _take_older(entries, origin, said)
    found: _Found = {}
    for name, entry in entries.items():
        value = _checked(name, entry, origin, kind=_KINDS[name], text=False)
        found[name] = (path.parent / value if isinstance(value, Path) else value, origin)
    return found


def _usual_file(environ: Mapping[str, str]) -> Path | None:
    if environ.get("QWF_CONFIG"):
        return Path(environ["QWF_CONFIG"])
    import platformdirs

    folder = platformdirs.user_config_path("qwf_async")
    # Not Path.is_file, which raises where the directory may not be entered.
    present = [folder / name for name in ("config.toml", "config.json") if os.path.isfile(folder / name)]
    return present[0] if present else None


def _parsed(path: Path, *, older: bool) -> object:
    try:
        # With or without a byte order mark: editors on Windows write one.
        text = read_small_file(path).decode("utf-8-sig")
        if older:
            return msgspec.json.decode(plain_json(text))
        import tomllib

        return tomllib.loads(text)
    except (OSError, ValueError, msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"settings file {str(path)!r} cannot be used: {_reason(error)}") from error


def _entries(document: object, origin: str, *, older: bool) -> dict[str, Any]:
    """The keys at top level and those in the one table or object, together."""
    if not isinstance(document, dict):
        raise UsageError(f"the settings ({origin}) must be one JSON object, not a {type(document).__name__}")
    inner = [
        name
        for name, value in document.items()
        if isinstance(value, dict)
        and (name == "qwf" or (older and name not in _KINDS and name not in MEANINGLESS))
    ]
    if len(inner) > 1:
        raise UsageError(f"the settings ({origin}) are in {len(inner)} objects: put them into one")
    entries = {name: value for name, value in document.items() if name not in inner}
    for name in inner:
        if twice := entries.keys() & document[name].keys():
            raise UsageError(
                f"key {_shown('', min(twice))} ({origin}) is given twice: at top level and within"
            )
        entries |= document[name]
    return entries


def _take_older(entries: dict[str, Any], origin: str, said: Said) -> None:
    """Put the settings' own names in the place of the older ones, `url` in that of host, port, db and so on."""
    take_names(entries, origin, said)
    parts = {
        name: _checked(name, entries.pop(name), origin, kind=kind, text=False)
        for name, kind in ADDRESS.items()
        if name in entries
    }
    if parts and "url" in entries:
        raise UsageError(f"url ({origin}) and {next(iter(parts))} both name the server: keep the url alone")
    if parts:
        entries["url"] = url_of(parts)


def _from_environment(environ: Mapping[str, str]) -> _Found:
    found: _Found = {}
    for name, kind in _KINDS.items():
        variables = (f"QWF_{name.upper()}", *(["REDIS_URL"] if name == "url" else []))
        for variable in variables:
            if environ.get(variable):
                origin = f"environment {variable}"
                found[name] = (_checked(name, environ[variable], origin, kind=kind, text=True), origin)
                break
    return found


def _from_flags(flags: Mapping[str, object]) -> _Found:
    found: _Found = {}
    for name, flag in flags.items():
        if flag is None:
            continue
        origin = f"flag --{name.replace('_', '-')}"
        if name == "password":
            raise UsageError(f"{origin} is not taken: set QWF_PASSWORD or name a file by --password-file")
        if name not in _KINDS:
            raise UsageError(f"unknown {origin}: the nearest is --{_nearest(name).replace('_', '-')}")
        found[name] = (_checked(name, flag, origin, kind=_KINDS[name], text=True), origin)
    return found


def _read_password(path: Path, origin: str) -> tuple[str, str]:
    try:
        password = read_small_file(path).decode("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"password_file {str(path)!r} ({origin}) must be readable text: {_reason(error)}"
        ) from error
    if not password:
        raise UsageError(f"password_file {str(path)!r} ({origin}) must hold a password: it is empty")
    return password, f"file {path}"


def _checked(name: str, value: object, origin: str, *, kind: Any, text: bool) -> Any:
    """`value` as the type and within the bounds of `kind`; numbers may be written as text if `text`."""
    try:
        given = _size(value) if name in _SIZES and isinstance(value, str) else value
        return msgspec.convert(given, kind, strict=not text, dec_hook=_path)
    except (msgspec.ValidationError, ValueError, RuntimeError) as error:
        raise UsageError(f"{name} = {_shown(name, value)} ({origin}) must be {_bound(name, kind)}") from error


def _check_watermarks(low: float, high: float, origins: Mapping[str, str]) -> None:
    if not low < high:
        low_from = origins.get("low_watermark", "argument")
        high_from = origins.get("high_watermark", "argument")
        raise UsageError(
            f"low_watermark = {low} ({low_from}) must be below high_watermark = {high} ({high_from})"
        )


def _path(_: type, value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError("not a path")
    return Path(value).expanduser()


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,18}) ?([a-z]*)", text.lower())
    if match is None or match[2] not in _UNITS:
        raise ValueError("not a size")
    return int(match[1]) * _UNITS[match[2]]


def _bound(name: str, kind: Any) -> str:
    """What `kind` allows, in words: 'a whole number, at least 1, at most 64'."""
    # Optional[Annotated[type, meta]] without its wrappers.
    bare = get_args(kind)[0] if type(None) in get_args(kind) else kind
    noun = _NOUNS[get_args(bare)[0] if get_args(bare) else bare]
    if name in _SIZES:
        noun = "a number of bytes, or text such as '512mb'"
    bounds = [
        f"{words} {getattr(meta, limit)}"
        for meta in get_args(bare)[1:]
        for limit, words in _LIMITS.items()
        if getattr(meta, limit) is not None
    ]
    return ", ".join([noun, *bounds])


def _nearest(name: str) -> str:
    return max(_KINDS, key=lambda known: difflib.SequenceMatcher(None, name, known).ratio())


def _reason(error: BaseException) -> str:
    # strerror alone, because str(error) repeats the path, and not in the same form.
    return str((isinstance(error, OSError) and error.strerror) or error)


def _shown(name: str, value: object) -> str:
    """`value` for a message: on one line, short, never a password, and never an endless number."""
    if name in _HIDDEN:
        return "***"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str) and len(value) > 60:
        return f"{value[:60]!r}…"
    if isinstance(value, str | int | float | Path):
        return repr(value)
    return f"a {type(value).__name__}"
