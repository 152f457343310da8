"""The life of a load: begun, journalled, published; or released, resumed, discarded.

A load is an ingest under way. It writes under a generation of its own that no reader sees, and
one script publishes it whole: `scripts.publish`, which also checks that nothing is missing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

import anyio

from ..client.connection import Connection
from ..client.failure import Asked
from ..client.node import Node
from ..client.pool import Pool
from ..client.reply import is_number
from ..client.retry import Retry, until_available
from ..errors import DamagedData, DataLost, QwfError, Refused, ServerUnavailable
from ..server.primary import Primary
from ..wording import again_with, flag
from . import scripts
from .beginning import Beginning, Unfinished, decide_beginning
from .confirmation import Confirmation, JournalHoles
from .journal import JournalEntry, read_journal
from .keys import Keys
from .load_connections import LoadConnections, expel_owner
from .manifest import Manifest
from .name_state import read_state
from .owner import Owner
from .scripts import Outcome, announce, enter
from .still_published import is_published
from .trash import TrashEntry

MAX_RELEASE_TIME: Final = 2.0
"""Seconds that may be spent on releasing a load whose beginning failed."""


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
        self._connections = LoadConnections(pool=pool, keys=keys, token=owner.token)
        self._began = now

    @classmethod
    async def begin(
        cls,
        pool: Pool,
        keys: Keys,
        requested: Manifest,
        *,
        unfinished: Unfinished,
        overwrite: bool,
        ttl: float,
        owner: Owner | None = None,
    ) -> Load | Manifest:
        """Begin or resume a load of the name. Returns the manifest if the very same thing is published already.

        The name is then held for `ttl` seconds without renewal, by this process or else by `owner`.
        Raises Refused if the name cannot be taken. After an error or a cancellation the name is not held.
        """
        owner = owner or Owner.here()
        try:
            begun = await cls._begin(pool, keys, requested, owner, unfinished, overwrite, ttl)
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
        requested: Manifest,
        owner: Owner,
        unfinished: Unfinished,
        overwrite: bool,
        ttl: float,
    ) -> Load | Manifest:
        expelled: set[str] = set()
        while True:
            state = await read_state(pool, keys)
            beginning = decide_beginning(
                keys.name, state, requested, unfinished=unfinished, overwrite=overwrite
            )
            if beginning.finished:
                return beginning.manifest
            before = state.under_way
            if before and before.connections and before.owner.token not in expelled:
                expelled.add(await expel_owner(pool, keys, before.owner.token))
                continue
            manifest, replaced = beginning.manifest, beginning.overwrites
            fields = manifest.to_fields() | {"overwrites": _generation(replaced)} | owner.to_fields()
            await announce(pool, keys)
            load = cls(pool, keys, beginning, owner, ttl, state.now)
            try:
                begun = await scripts.begin(
                    pool,
                    keys,
                    seen_generation=_generation(state.published),
                    seen_token=before.owner.token if before else "",
                    ttl=int(ttl * 1000),
                    discards=_entry(beginning.discards, state.now),
                    fields=fields,
                )
                if begun or await _is_ours(pool, keys, owner):
                    await enter(pool, keys, manifest.generation)
                    return load
            except BaseException as error:
                # The load may have begun, with the reply lost. As this process lives on, it would hold the name.
                with anyio.move_on_after(MAX_RELEASE_TIME, shield=True), suppress(QwfError):
                    await until_available(load.release, Retry(deadline=MAX_RELEASE_TIME))
                if isinstance(error, ServerUnavailable):
                    raise error.with_more(
                        f"; the load of {keys.name} may have been begun all the same: "
                        f"{again_with('resume')} to go on with it"
                    ) from error
                raise

    async def renew(self) -> None:
        """Hold the name for another `ttl` seconds. The request is sent once.

        Raises ServerUnavailable if the server does not answer, and LoadTaken if another process
        has the load. Raises DataLost if the server has lost it: it was flushed, or came back empty.
        """
        await self._hold(int(self.ttl * 1000))

    async def release(self) -> None:
        """Give up the name, and leave the load as it is, so that another process can resume it."""
        await self._hold(0, *self._connections.settled)

    async def settle(self) -> None:
        """Take the connections that have nothing under way out of the record. None may be lent meanwhile.

        Raises LoadTaken or DataLost if the load is not ours any more.
        """
        if not await self._connections.settle():
            raise await self._loss()

    async def close_to_others(self, token: str) -> None:
        """Let no other process write the load any more: it is owned by `token` from now on, and their connections end.

        Raises LoadTaken or DataLost if the load is not ours any more.
        """
        if not await expel_owner(self._pool, self._keys, self._owner.token, token):
            raise await self._loss()
        self._owner = replace(self._owner, token=token)
        self._connections = LoadConnections(pool=self._pool, keys=self._keys, token=token)

    @property
    def run(self) -> str:
        """The run id of the server that the load was last written to; "" if it is not known."""
        return self._connections.run

    @asynccontextmanager
    async def connection(self, chunk: int) -> AsyncIterator[Connection]:
        """Lend a connection for writing the data and the journal of a chunk; see `load_connections`.

        Raises ServerUnavailable, and DataLost or LoadTaken if the load is not ours any more.
        """
        async with self._lent(self._journal_of(chunk)) as connection:
            yield connection

    @asynccontextmanager
    async def connection_elsewhere(self, chunk: int, asked: Asked) -> AsyncIterator[Connection]:
        """Lend a connection to the node that the chunk's slot is on its way to, and to which we were `asked` to go.

        Each request over it needs ASKING before it. The node that still has the slot forgets the
        chunk first: else a journal could be left at either. Raises as `connection`.
        """
        key = self._journal_of(chunk)
        source = self._pool.node_of(key)
        async with self._pool.connection(source) as connection:
            (reply,) = await connection.pipeline([["HDEL", key, chunk]])
            if not is_number(reply):
                error = connection.error_of(reply, doing=f"writing {key}")
                if not isinstance(error, Asked):
                    raise error
        async with self._lent(await self._pool.named_by(asked, source)) as connection:
            yield connection

    @asynccontextmanager
    async def _lent(self, to: str | Node) -> AsyncIterator[Connection]:
        async with self._pool.writing(to) as connection:
            ours = await self._connections.register(connection)
            if ours:
                yield connection
        if not ours:
            raise await self._loss()

    def end(self) -> None:
        """Finish with the load here: another task may take it over, even if the server could not be told."""
        self._owner.end()

    async def journal(self) -> dict[int, JournalEntry]:
        """The chunks that the journal holds. Raises DamagedData if it is not a journal of ours."""
        try:
            return await read_journal(self._pool, self._keys, self.manifest)
        except DamagedData as error:
            raise DamagedData(f"{error}; {flag('discard')} begins anew") from error

    async def record(
        self, entries: Mapping[int, JournalEntry], connection: Connection, *, elsewhere: bool = False
    ) -> None:
        """Record in the journal that the server has applied these chunks, over the connection that sent them.

        It is not tried again over another: a server that was restarted meanwhile may lack the
        chunks. `elsewhere`: the connection is one of `connection_elsewhere`.
        """
        for number, entry in entries.items():
            key = self._journal_of(number)
            text = entry.to_text()
            await connection.call(
                "HSET", key, number, text, expect=is_number, doing=f"writing {key}", asking=elsewhere
            )

    async def forget(self, numbers: Iterable[int]) -> None:
        """Take chunks out of the journal, so that they are written again when the load is resumed."""
        for number in numbers:

            async def write(number: int = number) -> None:
                key = self._journal_of(number)
                try:
                    async with self.connection(number) as connection:
                        await connection.call("HDEL", key, number, expect=is_number, doing=f"writing {key}")
                except Asked as asked:
                    async with self.connection_elsewhere(number, asked) as connection:
                        await connection.call(
                            "HDEL", key, number, expect=is_number, doing=f"writing {key}", asking=True
                        )

            await until_available(write, self._pool.retry)

    def _journal_of(self, chunk: int) -> str:
        """The journal that the chunk of this number is entered in."""
        return self._keys.journal(self.manifest.generation, self.manifest.form.group_of(chunk))

    async def publish(self, norm: float | None, confirmation: Confirmation | None = None) -> Manifest:
        """Make the load what readers see, all at once; what it replaces becomes trash.

        `confirmation` is of this load, and may have confirmed it already. Raises JournalHoles if part
        of the journal is gone, and DataLost if the load is, or if what was published is not whole
        any more. Raises Refused if the load is not ours any more, or if something else is
        published than it was to replace. Raises TooFewReplicas as `Confirmation.confirm`.
        """
        keys, manifest = self._keys, self.manifest.published(norm)
        confirmation = confirmation or Confirmation(pool=self._pool, keys=keys, manifest=manifest)
        while True:
            await self._confirm(confirmation)
            await self._pool.fence_off()  # with the record the list of connections goes
            outcome, primary = await until_available(lambda: self._publish(manifest), self._pool.retry)
            if outcome is Outcome.LATE:
                # This process slept past the deadline, but nobody took the load, so it can be renewed. The server
                # may be away for longer than that between two attempts, so this can happen more than once.
                await until_available(self.renew, self._pool.retry)
                continue
            if outcome is not Outcome.DONE and not (
                outcome is Outcome.GONE and await self._is_published(manifest)
            ):  # it may be gone as an earlier request has published it, whose reply was lost
                break
            try:
                is_there = await confirmation.confirm_published() == primary
            except (
                LoadTaken
            ) as error:  # the audit takes lost chunks out of a journal, but not of what is published
                if await self._is_published(manifest):
                    raise confirmation.loss() from error
                return manifest
            if is_there or await self._is_published(manifest):
                return manifest  # else the control keys came to a server that knows nothing of it: once more
        if outcome is Outcome.CHANGED:
            raise Refused(f"{keys.name} was changed by another process while this load ran; not published")
        await until_available(self.renew, self._pool.retry)  # raises, and says what became of the load
        raise Refused(f"the load of {keys.name} is not ours any more; not published")

    async def _confirm(self, confirmation: Confirmation) -> None:
        """Confirm that all is stored, on servers that know of this load. Raises as `publish`."""
        try:
            await confirmation.confirm(anew=False)
        except JournalHoles:
            await until_available(self.renew, self._pool.retry)  # if the load is gone, too, it says so
            raise

    async def _publish(self, manifest: Manifest) -> tuple[Outcome, Primary]:
        """One attempt to publish, by one script; what came of it, and who was asked."""
        async with self._pool.connection(self._keys.load) as connection:
            primary = await Primary.over(connection)
            outcome = await scripts.publish(
                connection,
                self._keys,
                token=self._owner.token,
                generation=manifest.generation,
                replaces=_entry(self.overwrites, self._began),
                fields=manifest.to_fields(),
            )
            return outcome, primary

    async def _is_published(self, manifest: Manifest) -> bool:
        return await is_published(self._pool, self._keys, manifest.generation)

    async def discard(self) -> bool:
        """Turn the load into trash. False if it is not ours any more."""
        entry = TrashEntry.of(self.manifest, self._began)
        return await scripts.discard(self._pool, self._keys, entry, token=self._owner.token)

    async def _hold(self, ttl: int, *settled: str) -> None:
        token = self._owner.token
        owner = await scripts.renew(self._pool, self._keys, token=token, ttl=ttl, settled=settled)
        if owner != token:
            raise await self._loss()

    async def _loss(self) -> DataLost | LoadTaken:
        """Why the load is not ours any more."""
        state = await read_state(self._pool, self._keys)
        if state.under_way is None and _generation(state.published) in ("", _generation(self.overwrites)):
            return DataLost(
                f"the load of {self._keys.name} is gone from the server, which was flushed or came back "
                "empty: nothing was published; run the command again"
            )
        if state.under_way is not None and state.under_way.owner.is_past:
            return DataLost(
                f"the server came back with an older record of the load of {self._keys.name}: "
                + again_with("resume")
            )
        who = state.under_way.owner.describe() if state.under_way else "another process, which published it,"
        return LoadTaken(
            f"the load of {self._keys.name} was taken over by {who} while this process did not answer"
        )


class LoadTaken(Refused):
    """Another process owns the load now."""


def _entry(manifest: Manifest | None, now: int) -> TrashEntry | None:
    return None if manifest is None else TrashEntry.of(manifest, now)


def _generation(manifest: Manifest | None) -> str:
    return manifest.generation if manifest else ""


async def _is_ours(pool: Pool, keys: Keys, owner: Owner) -> bool:
    """Whether the load has begun after all, by a request whose reply was lost."""
    state = await read_state(pool, keys)
    return state.under_way is not None and replace(state.under_way.owner, deadline=0) == owner
