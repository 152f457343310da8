"""The spool of one load, for the event loop: a sink on disk, with one commit for all batches that wait for one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

import anyio
import anyio.to_thread
import numpy as np

from ..catalog.keys import Keys
from ..catalog.load import Load
from ..catalog.manifest import Manifest
from ..client.parallel import in_parallel
from ..errors import InvalidInput, QwfError, Refused, SpoolFull
from ..layout import Layout
from ..spool import Quarantined, Row, SpoolFile, SpoolHead, spool_path
from ..store.store import Store
from ..wire.batch import Batch
from ..wire.codec import stored_dtype

T = TypeVar("T")

REPLAY_BYTES: Final = 16 * 2**20
"""About how many bytes of values a replay holds at a time. Each of its tasks holds an encoded chunk besides."""

Deliver = Callable[[Batch], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class _PendingWrite:
    """A batch that waits for the next commit."""

    batch: Batch
    done: bool = False
    error: QwfError | None = None


@dataclass(slots=True, kw_only=True)
class LoadSpool:
    """Chunks of one load on disk. The file is created when it is first needed, and removed when nothing waits.

    The file holds values alone. `layout` makes requests of them when they are replayed, so that
    a file can name no key and no command.

    `limit` bounds the bytes that wait; 0 means no spool. `run` says which run of the server the
    load was last written to. `damaged` are rows that a replay found damaged; their chunks count
    as never spooled. Errors of the directory are raised as Refused, because InvalidInput would
    blame the source.
    """

    path: Path
    head: SpoolHead
    layout: Layout
    limit: int
    run: Callable[[], str] = str
    damaged: list[Quarantined] = field(default_factory=list)
    _file: SpoolFile | None = None
    _waiting: list[_PendingWrite] = field(default_factory=list)
    _committing: anyio.Lock = field(default_factory=anyio.Lock)
    _thread: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))

    @classmethod
    def of(cls, store: Store, keys: Keys, load: Load, layout: Layout) -> Self:
        """The spool that a load has or would have. `layout` is that of its generation."""
        settings, manifest = store.settings, load.manifest
        head = SpoolHead(
            server=store.pool.address.identity,
            prefix=keys.prefix,
            name=keys.name,
            manifest=manifest,
            overwrites=load.overwrites.generation if load.overwrites else "",
        )
        path = spool_path(settings.spool_directory, manifest.generation)
        return cls(path=path, head=head, layout=layout, limit=settings.spool_limit, run=lambda: load.run)

    @property
    def chunks(self) -> frozenset[int]:
        """The chunks that wait to be replayed."""
        known = len(self.head.manifest.plan)
        return frozenset(number for number in self.numbers if 0 <= number < known)

    @property
    def numbers(self) -> frozenset[int]:
        """What waits to be replayed, by the numbers in the file: those of damaged rows need not be of chunks."""
        return frozenset() if self._file is None else self._file.chunks

    @property
    def nbytes(self) -> int:
        return self._file.nbytes if self._file else 0

    async def find(self) -> None:
        """Open the file that another process left, if there is one.

        Raises DamagedData if it is no spool, Refused if a process has it open.
        """
        if await self._in_thread(self.path.exists):
            self._file = await self._in_thread(partial(SpoolFile.open, self.path, limit=self.limit))

    async def write(self, batch: Batch) -> None:
        """Return once the batch is committed. Raises SpoolFull, with the batch not in the file, if there is no room."""
        mine = _PendingWrite(batch=batch)
        self._waiting.append(mine)
        async with self._committing:
            if not mine.done:
                await self._commit()
        if mine.error is not None:
            raise mine.error

    async def _commit(self) -> None:
        pending, self._waiting = self._waiting, []
        try:
            await self._in_thread(partial(self._put, pending))
        except QwfError as error:
            for waiting in pending:
                waiting.error = error
        for waiting in pending:
            waiting.done = True

    def _put(self, pending: Sequence[_PendingWrite]) -> None:
        """Commit all at once. If there is no room for all, commit one after the other, as far as there is room."""
        if self.limit == 0:
            raise SpoolFull("there is no spool: spool_limit is 0")
        if self._file is None:
            try:
                self._file = SpoolFile.create(self.path, replace(self.head, run=self.run()), limit=self.limit)
            except (InvalidInput, Refused) as error:
                raise SpoolFull(str(error)) from error
        try:
            self._file.put([waiting.batch for waiting in pending])
        except SpoolFull:
            for waiting in pending:
                try:
                    self._file.put([waiting.batch])
                except SpoolFull as error:
                    waiting.error = error

    async def replay(
        self,
        deliver: Deliver,
        tasks: int,
        progressed: Callable[[], object],
        chunks: Set[int] | None = None,
    ) -> None:
        """Deliver what waits of these chunks (None: of all), oldest first, by `tasks` tasks, until nothing does.

        A batch is removed from the file after it was delivered, and the file with its last one.
        `progressed` is called after every few batches.
        """
        while (file := self._file) is not None:
            rows = await self._in_thread(partial(file.rows, REPLAY_BYTES, chunks))
            if rows:
                await self._replay(file, rows, deliver, tasks)
                progressed()
                continue
            async with self._committing:  # what is written from now on goes into a new file
                if file is self._file and file.is_empty:
                    self.damaged += file.quarantined
                    await self.delete()
            if chunks is not None and not chunks & file.chunks:
                return

    async def _replay(
        self, file: SpoolFile, rows: Sequence[tuple[int, Row]], deliver: Deliver, tasks: int
    ) -> None:
        through: list[int] = []

        async def deliver_row(item: tuple[int, Row]) -> None:
            sequence, row = item
            try:
                batch = await anyio.to_thread.run_sync(encoded, row, self.head.manifest, self.layout)
            except ValueError as error:
                await self._in_thread(partial(file.quarantine, sequence, row.chunk, str(error)))
                return
            await deliver(batch)
            through.append(sequence)

        try:
            await in_parallel(deliver_row, rows, tasks)
        finally:
            if through:  # else the file may be another task's to delete
                with anyio.CancelScope(shield=True):
                    await self._in_thread(partial(file.remove, through))

    async def delete(self) -> None:
        """Remove the file, with all that waits in it."""
        if self._file is not None:
            file, self._file = self._file, None
            await self._in_thread(file.delete)

    async def aclose(self) -> None:
        """Close the file, and remove it if nothing waits in it. Otherwise another process can replay it."""
        if self._file is not None:
            file, self._file = self._file, None
            await self._in_thread(file.delete if file.is_empty else file.close)

    async def _in_thread(self, job: Callable[[], T]) -> T:
        try:
            return await anyio.to_thread.run_sync(job, limiter=self._thread)
        except InvalidInput as error:
            raise Refused(str(error)) from error


def encoded(row: Row, manifest: Manifest, layout: Layout) -> Batch:
    """The batch of a spooled chunk. Raises ValueError, with the reason, if the row is not one of this load."""
    if not 0 <= row.chunk < len(manifest.plan):
        raise ValueError(f"there is no chunk {row.chunk} of {len(manifest.plan)}")
    chunk, dtype = manifest.plan[row.chunk], stored_dtype(manifest.form.codec)
    if len(row.values) != chunk.points * dtype.itemsize:
        raise ValueError(f"its values are {len(row.values)} bytes, not {chunk.points * dtype.itemsize}")
    batch = layout.encode(chunk, np.frombuffer(row.values, dtype).reshape(chunk.shape), row.weight)
    if batch.digest != row.digest:
        raise ValueError("its values do not have the digest that they had")
    return batch
