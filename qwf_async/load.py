"""The life of a load: begun, journalled, published; or released, resumed, discarded.

A load is an ingest under way. It writes under a generation of its own that no reader
sees, and one script publishes it whole. See `scripts` for what is checked there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import anyio

from .errors import DamagedData, DataLost, QwfError, Refused
from .index import announce, enter
from .manifest import JournalEntry, Keys, Manifest, NewerFormat, reason, text_fields
from .owner import Owner
from .scripts import BEGIN, DISCARD, LOOK, PUBLISH, RENEW
from .server.connection import Connection
from .server.pool import Pool, until_available
from .server.reply import is_number, is_pairs, is_situation, is_text, is_text_or_none
from .wording import again_with, flag, said

Unfinished = Literal["refuse", "resume", "discard"]

EVEN_IF_FULL: Final = "#!lua flags=allow-oom\n"
"""Before a script: it may write on a server that is out of memory. The control keys are small, and must be true."""

GIVING_UP: Final = 2.0
"""Seconds that may be spent on giving up a load that was not to begin after all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A load as another process finds it on the server."""

    manifest: Manifest
    overwrites: str
    owner: Owner

    @classmethod
    def from_fields(cls, fields: Mapping[str, str], where: str) -> UnderWay:
        try:
            return cls(
                manifest=Manifest.from_fields(fields, where),
                overwrites=fields["overwrites"],
                owner=Owner.from_fields(fields),
            )
        except (KeyError, ValueError) as error:
            raise DamagedData(f"{where} is not the record of a load: {reason(error)}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What there is of a name: what is published, what is under way, and the server's time (ms)."""

    published: Manifest | None
    under_way: UnderWay | None
    now: int


async def look(pool: Pool, keys: Keys) -> Situation:
    """Read the situation of a name in one step. Raises DamagedData if a foreign hash is in the way."""
    meta, load, now = await _records(pool, keys)
    try:
        published = Manifest.from_fields(text_fields(meta), keys.meta) if meta else None
        under_way = UnderWay.from_fields(text_fields(load), keys.load) if load else None
    except NewerFormat:
        raise
    except DamagedData as error:
        remove = said(
            command_line=f"qwf rm {keys.name} --damaged", python=f"store.remove_damaged({keys.name!r})"
        )
        raise DamagedData(f"{error}; {remove} removes that record") from error
    return Situation(published=published, under_way=under_way, now=now)


async def unreadable(pool: Pool, keys: Keys) -> dict[str, list[bytes]]:
    """The records of a name that are damaged: key → what it holds, names and values in turn.

    Raises Refused if one is of a later format.
    """
    meta, load, _ = await _records(pool, keys)
    found = {}
    for key, fields, read in (
        (keys.meta, meta, Manifest.from_fields),
        (keys.load, load, UnderWay.from_fields),
    ):
        try:
            if fields:
                read(text_fields(fields), key)
        except NewerFormat as error:
            raise Refused(str(error)) from error
        except DamagedData:
            found[key] = fields
    return found


async def _records(pool: Pool, keys: Keys) -> tuple[list[bytes], list[bytes], int]:
    """What meta and load hold, and the server's time (ms)."""
    return await pool.call(
        "EVAL_RO", LOOK, 2, keys.meta, keys.load,
        expect=is_situation, doing=f"reading {keys.meta} and {keys.load}",
    )  # fmt: skip


async def read_journal(pool: Pool, keys: Keys, manifest: Manifest) -> dict[int, JournalEntry]:
    """The journal of a generation: chunk number → entry. Raises DamagedData if it is not a journal of ours."""
    key = keys.journal(manifest.generation)
    reply = text_fields(await pool.call("HGETALL", key, expect=is_pairs, doing=f"reading {key}"))
    try:
        entries = {int(number): JournalEntry.from_text(text) for number, text in reply.items()}
    except ValueError as error:
        raise DamagedData(f"{key} is not a journal: {error}") from error
    if any(not 0 <= number < len(manifest.plan) for number in entries):
        raise DamagedData(f"{key} names chunks that the plan does not have")
    return entries


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What beginning a load means: the manifest it goes by, what it replaces, what becomes trash first."""

    manifest: Manifest
    overwrites: Manifest | None
    discards: Manifest | None = None
    resumed: bool = False
    finished: bool = False


def decide(
    name: str, seen: Situation, wanted: Manifest, *, unfinished: Unfinished, overwrite: bool
) -> Beginning:
    """What to do about a name that may hold something already. Pure.

    Raises Refused, saying what stands in the way and which option gets past it.
    """
    published, load = seen.published, seen.under_way
    if load is None:
        if published is None:
            return Beginning(manifest=wanted, overwrites=None)
        if unfinished == "resume" and not published.differences(wanted):
            return Beginning(manifest=published, overwrites=None, finished=True)
        if not overwrite:
            raise Refused(f"{name} exists already: {flag('overwrite')} replaces it")
        return Beginning(manifest=wanted, overwrites=published)
    if load.owner.holds(seen.now):
        raise Refused(f"{name} is being loaded by {load.owner.describe()}: wait for it, or stop it")
    if unfinished == "resume":
        differences = load.manifest.differences(wanted)
        if differences:
            raise Refused(
                f"the unfinished load of {name} cannot be resumed, it differs in {'; '.join(differences)}: "
                f"{flag('discard')} throws it away"
            )
        return Beginning(manifest=load.manifest, overwrites=published, resumed=True)
    if unfinished == "discard":
        if published is not None and not (overwrite or load.overwrites):
            raise Refused(f"{name} exists already: {flag('overwrite')} with {flag('discard')} replaces it")
        return Beginning(manifest=wanted, overwrites=published, discards=load.manifest)
    raise Refused(
        f"there is an unfinished load of {name}: {flag('resume')} goes on with it, {flag('discard')} throws it away"
    )


def trash_entry(manifest: Manifest | None, now: int) -> str:
    """What is needed to find the keys of a generation later, as JSON. `now` in ms of the server's clock."""
    if manifest is None:
        return ""
    return json.dumps({**manifest.form.to_json(), "since": now})


class Load:
    """A load that this process owns, until it is published, released or discarded."""

    def __init__(
        self, pool: Pool, keys: Keys, beginning: Beginning, owner: Owner, ttl: float, now: int
    ) -> None:
        self.manifest = beginning.manifest
        self.overwrites = beginning.overwrites
        self.resumed = beginning.resumed
        self.ttl = ttl
        self._pool = pool
        self._keys = keys
        self._owner = owner
        self._began = now

    @classmethod
    async def begin(
        cls,
        pool: Pool,
        keys: Keys,
        wanted: Manifest,
        *,
        unfinished: Unfinished,
        overwrite: bool,
        ttl: float,
    ) -> Load | Manifest:
        """Take the name. Returns the manifest instead if the very same thing is published already.

        `ttl` (s): for how long the name is held without renewal. Raises Refused if the name
        cannot be had. After an error or a cancellation the name is not held.
        """
        owner = Owner.here()
        try:
            begun = await cls._begin(pool, keys, wanted, owner, unfinished, overwrite, ttl)
        except BaseException:
            owner.end()
            raise
        if isinstance(begun, Manifest):
            owner.end()
        return begun

    @classmethod
    async def _begin(
        cls,
        pool: Pool,
        keys: Keys,
        wanted: Manifest,
        owner: Owner,
        unfinished: Unfinished,
        overwrite: bool,
        ttl: float,
    ) -> Load | Manifest:
        while True:
            seen = await look(pool, keys)
            beginning = decide(keys.name, seen, wanted, unfinished=unfinished, overwrite=overwrite)
            if beginning.finished:
                return beginning.manifest
            manifest, replaced = beginning.manifest, beginning.overwrites
            fields = manifest.to_fields() | {"overwrites": _generation(replaced)}
            await announce(pool, keys)
            load = cls(pool, keys, beginning, owner, ttl, seen.now)
            try:
                done = await pool.call(
                    "EVAL", EVEN_IF_FULL + BEGIN, 3, keys.meta, keys.load, keys.trash,
                    _generation(seen.published),
                    seen.under_way.owner.token if seen.under_way else "",
                    int(ttl * 1000),
                    _generation(beginning.discards),
                    trash_entry(beginning.discards, seen.now),
                    *_flat(fields | owner.to_fields()),
                    expect=is_number, doing=f"beginning the load of {keys.name} ({keys.load}, {keys.trash})",
                )  # fmt: skip
                if done or await _is_ours(pool, keys, owner):
                    await enter(pool, keys, manifest.generation)
                    return load
            except BaseException:
                # It may have been begun, with the reply lost. This process lives on, and would hold it.
                with anyio.move_on_after(GIVING_UP, shield=True), suppress(QwfError):
                    await until_available(load.release, GIVING_UP)
                raise

    async def renew(self) -> None:
        """Hold the name for another `ttl` seconds. Tried once.

        Raises ServerUnavailable if the server does not answer, DataLost if the load is gone from
        it (it was flushed, or came back empty), and LoadTaken if another process has the load.
        """
        await self._hold(int(self.ttl * 1000))

    async def release(self) -> None:
        """Give the name up, with the load left as it is for another process to resume."""
        await self._hold(0)

    def end(self) -> None:
        """This process is through with the load: another task of it may take it over, whatever the server was told."""
        self._owner.end()

    async def journal(self) -> dict[int, JournalEntry]:
        """The chunks that the journal holds. Raises DamagedData if it is not a journal of ours."""
        try:
            return await read_journal(self._pool, self._keys, self.manifest)
        except DamagedData as error:
            raise DamagedData(f"{error}; {flag('discard')} begins anew") from error

    async def record(self, entries: Mapping[int, JournalEntry], connection: Connection) -> None:
        """Write down that the server has applied these chunks, over the connection that they went over.

        Not tried again over another: a server restarted meanwhile may lack what it had applied.
        """
        key = self._keys.journal(self.manifest.generation)
        fields = {str(number): entry.to_text() for number, entry in entries.items()}
        await connection.call("HSET", key, *_flat(fields), expect=is_number, doing=f"writing {key}")

    async def forget(self, numbers: Iterable[int]) -> None:
        """Take chunks out of the journal, so that they are written again when the load is resumed."""
        key = self._keys.journal(self.manifest.generation)
        await self._pool.call("HDEL", key, *numbers, expect=is_number, doing=f"writing {key}")

    async def publish(self, norm: float | None) -> Manifest:
        """Make the load what readers see, all at once; what it replaces becomes trash.

        Raises DataLost if the load or part of its journal is gone, Refused if it is
        no longer ours or if what it was to replace has changed.
        """
        manifest = self.manifest.published(norm)
        journal = self._keys.journal(manifest.generation)
        replaced = self.overwrites
        while True:
            outcome = await self._pool.call(
                "EVAL", EVEN_IF_FULL + PUBLISH, 4,
                self._keys.meta, self._keys.load, journal, self._keys.trash,
                self._owner.token, manifest.generation, len(manifest.plan),
                _generation(replaced), trash_entry(replaced, self._began),
                *_flat(manifest.to_fields()),
                expect=is_text,
                doing=f"publishing {self._keys.name} ({self._keys.meta}, {journal}, {self._keys.trash})",
            )  # fmt: skip
            if outcome != b"late":
                break
            # Slept past the deadline, but nobody took the load: it is ours again. The server may be away
            # for longer than that between two of these, so it may be late more than once.
            await until_available(self.renew, self._pool.deadline)
        if outcome == b"done" or (outcome == b"gone" and await self._is_published()):
            return manifest
        if outcome == b"holes":
            raise DataLost(
                f"the server lost part of {self._keys.name}: its journal has holes, so it was not published; "
                + again_with("resume")
            )
        if outcome == b"changed":
            raise Refused(
                f"{self._keys.name} was changed by another process while this load ran; not published"
            )
        await until_available(self.renew, self._pool.deadline)
        raise Refused(f"the load of {self._keys.name} is not ours any more; not published")

    async def discard(self) -> bool:
        """Turn the load into trash. False if it is not ours any more."""
        return bool(
            await self._pool.call(
                "EVAL", EVEN_IF_FULL + DISCARD, 2, self._keys.load, self._keys.trash,
                self._owner.token, "", self.manifest.generation, trash_entry(self.manifest, self._began),
                expect=is_number,
            )
        )  # fmt: skip

    async def _is_published(self) -> bool:
        """Whether publishing was done after all, by a request whose reply was lost."""
        generation = await self._pool.call("HGET", self._keys.meta, "generation", expect=is_text_or_none)
        return bool(generation == self.manifest.generation.encode())

    async def _hold(self, ttl: int) -> None:
        owner = await self._pool.call_once(
            "EVAL", EVEN_IF_FULL + RENEW, 1, self._keys.load, self._owner.token, ttl, expect=is_text
        )
        if owner == self._owner.token.encode():
            return
        seen = await look(self._pool, self._keys)
        if seen.under_way is None and _generation(seen.published) in ("", _generation(self.overwrites)):
            raise DataLost(
                f"the load of {self._keys.name} is gone from the server, which was flushed or came back "
                "empty: nothing was published; run the command again"
            )
        who = seen.under_way.owner.describe() if seen.under_way else "another process, which published it,"
        raise LoadTaken(
            f"the load of {self._keys.name} was taken over by {who} while this process did not answer"
        )


class LoadTaken(Refused):
    """Another process owns the load now."""


def _generation(manifest: Manifest | None) -> str:
    return manifest.generation if manifest else ""


async def _is_ours(pool: Pool, keys: Keys, owner: Owner) -> bool:
    """Whether beginning was done after all, by a request whose reply was lost."""
    seen = await look(pool, keys)
    return seen.under_way is not None and replace(seen.under_way.owner, deadline=0) == owner


def _flat(fields: Mapping[str, str]) -> list[Any]:
    return [item for pair in fields.items() for item in pair]
