"""`backup`: all wavefunctions of a store in a directory, each in a file, with checksums.

A wavefunction is in the backup once its record is. Until then an older backup of it stays, and what was written
of the new one goes on when the backup is repeated.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

from ..checked import checked
from ..client.failure import WrongType
from ..client.parallel import in_parallel
from ..errors import DamagedData, InvalidInput, QwfError, Refused, first_error
from ..events import Event, Hook, Noted, Progress
from ..exporting.whole_file import in_threads
from ..host.directory_sync import sync_directory
from ..store.store import Store
from ..wording import phrase
from .backup_record import ENDING, VALUES, BackupRecord, recorded_names, values_name
from .snapshot import ChangedMeanwhile, NotThere, Snapshot
from .values_file import GrowingFile, ValuesFile

T = TypeVar("T")
Args = TypeVarTuple("Args")

ATTEMPTS: Final = 3
"""How often a wavefunction is begun that others replace or change while it is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What a backup did: the names that were `written`, those `unchanged` since, and those that are `kept`.

    Kept is what the directory has of names that are not on the server any more. `points` and `bytes` are of
    what was written.
    """

    directory: str
    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    kept: tuple[str, ...]
    points: int
    bytes: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@checked
async def backup(store: Store, directory: Path | str, *, hooks: Sequence[Hook] = ()) -> BackupReport:
    """Write every published wavefunction of a store into a directory, which is made if it is not there.

    What is there already, unchanged on the server and whole in its file, is not copied again. Each value
    is compared with the digest of what was written. It can be repeated after any interruption. One that fails
    does not spare the others.

    Raises
    ------
    InvalidInput: the directory cannot be written, as on a full disk: nothing is left there of what did not fit.
        Or a wavefunction changed all the time.
    DamagedData: a wavefunction on the server is damaged.
    Refused: another backup is writing into the directory; or the server refuses.
    ServerUnavailable: the server stays away.
    """
    run = _Run(store=store, directory=Path(directory), hooks=hooks)
    try:
        return await run.run()
    except OSError as error:
        raise _cannot_write(run.directory, error) from error
    except BaseExceptionGroup as group:
        raise first_error(group) from group


class _Run:
    """One backup."""

    def __init__(self, *, store: Store, directory: Path, hooks: Sequence[Hook]) -> None:
        self.store = store
        self.directory = directory
        self.hooks = hooks
        self.written: list[str] = []
        self.unchanged: list[str] = []
        self.points = self.total = self.nbytes = self.done = 0

    async def run(self) -> BackupReport:
        begun = time.perf_counter()
        errors: list[QwfError] = []
        async with in_threads(_alone(self.directory)):
            entries = await self.store.entries()
            self.total = sum(entry.manifest.points for entry in entries if entry.manifest)
            for entry in entries:
                if entry.manifest is None:
                    self._tell(Noted(text=f"{entry.name} is not in the backup: {entry.note}"))
                try:
                    await self._one(entry.name)
                except (DamagedData, ChangedMeanwhile, WrongType) as error:
                    errors.append(error)
            names = {entry.name for entry in entries}
            kept = await anyio.to_thread.run_sync(self._tidied, names)
        for other in errors[1:]:
            self._tell(Noted(text=str(other), warning=True))
        if errors:
            raise errors[0]
        return BackupReport(
            directory=str(self.directory),
            written=tuple(self.written),
            unchanged=tuple(self.unchanged),
            kept=kept,
            points=self.points,
            bytes=self.nbytes,
            seconds=time.perf_counter() - begun,
        )

    async def _one(self, name: str) -> None:
        for attempt in range(ATTEMPTS):
            try:
                snapshot = await Snapshot.take(self.store, name)
                await self._written(snapshot)
            except ChangedMeanwhile:
                if attempt == ATTEMPTS - 1:
                    raise
            except NotThere:
                return
            else:
                return

    async def _written(self, snapshot: Snapshot) -> None:
        """See that the directory has what the snapshot is of."""
        name, manifest = snapshot.keys.name, snapshot.manifest
        path = self.directory / values_name(name, snapshot.content)
        before = await anyio.to_thread.run_sync(_record, self.directory, name)
        if before is not None and before.holds(manifest, snapshot.digests):
            if await anyio.to_thread.run_sync(_is_whole, path, before, abandon_on_cancel=True):
                self._progress(manifest.points)
                if before.manifest != manifest:
                    record = BackupRecord(
                        name=name,
                        manifest=manifest,
                        digests=snapshot.digests,
                        nbytes=before.nbytes,
                        checksum=before.checksum,
                    )
                    await anyio.to_thread.run_sync(record.write, self.directory)
                self.unchanged.append(name)
                return
            self._tell(Noted(text=f"{path} is not as it was written: it is written anew", warning=True))
        checksum = await self._fill(path.with_name(f"{path.name}.part"), snapshot)

        def finish() -> BackupRecord:
            os.replace(f"{path}.part", path)
            sync_directory(self.directory)
            record = BackupRecord(
                name=name,
                manifest=manifest,
                digests=snapshot.digests,
                nbytes=path.stat().st_size,
                checksum=checksum,
            )
            record.write(self.directory)
            if before is not None and before.file != path.name:
                (self.directory / before.file).unlink(missing_ok=True)
            return record

        record = await anyio.to_thread.run_sync(finish)
        self.written.append(name)
        self.points += manifest.points
        self.nbytes += record.nbytes

    async def _fill(self, part: Path, snapshot: Snapshot) -> str:
        """Fill a file with the values. Returns its SHA-256. If the disk is full, nothing of it is left."""
        file = await self._on_disk(part, GrowingFile.open, part, snapshot.manifest)

        async def fill(chunk: int) -> None:
            expected = int(snapshot.digests[chunk])
            if file.fresh or not await anyio.to_thread.run_sync(file.values.has, chunk, expected):
                await self._on_disk(part, file.put, chunk, await snapshot.read(chunk))
            self._progress(snapshot.manifest.plan[chunk].points)

        await in_parallel(fill, range(len(snapshot.digests)), snapshot.readers)
        return await self._on_disk(part, file.close)

    async def _on_disk(self, part: Path, write: Callable[[*Args], T], *args: *Args) -> T:
        """What `write` returns, in a thread. If the system raises an error, `part` is removed, and it is translated."""

        def job() -> T:
            try:
                return write(*args)
            except OSError as error:
                part.unlink(missing_ok=True)
                raise _cannot_write(self.directory, error) from error

        return await anyio.to_thread.run_sync(job)

    def _tidied(self, names: set[str]) -> tuple[str, ...]:
        """Remove what no record names, and return the names that only the directory has."""
        recorded = {name: _record(self.directory, name) for name in recorded_names(self.directory)}
        wanted = {record.file for record in recorded.values() if record is not None}
        for file in os.listdir(self.directory):
            if (match := VALUES.fullmatch(file)) and file not in wanted:
                unreadable = match["name"] in recorded and recorded[match["name"]] is None
                if match["part"] or not unreadable:
                    (self.directory / file).unlink(missing_ok=True)
            elif file.endswith(f"{ENDING}.part"):
                (self.directory / file).unlink(missing_ok=True)
        return tuple(sorted(recorded.keys() - names))

    def _progress(self, points: int) -> None:
        self.done += points
        self._tell(Progress(points=min(self.done, self.total), total=max(self.total, self.done)))

    def _tell(self, event: Event) -> None:
        for hook in self.hooks:
            hook(event)


def _record(directory: Path, name: str) -> BackupRecord | None:
    """The record of a name, if there is one that can be read."""
    path = directory / f"{name}{ENDING}"
    try:
        return BackupRecord.read(path) if path.exists() else None
    except DamagedData:
        return None


def _is_whole(path: Path, record: BackupRecord) -> bool:
    """Whether the file of a record is as it was written."""
    file = ValuesFile(path=path, manifest=record.manifest)
    try:
        file.check()
        return file.checksum() == record.checksum
    except (DamagedData, OSError):
        return False


def _cannot_write(directory: Path, error: OSError) -> InvalidInput:
    again = phrase(command_line="command", python="call")
    return InvalidInput(
        f"cannot write the backup into {directory}: {error.strerror or error}; what is whole there stays, and the "
        f"same {again} goes on"
    )


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Make a directory, and hold it, that no other backup writes into it. Raises Refused if one does."""
    made = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"another backup is writing into {directory}: wait for it") from error
        yield
    except BaseException:
        if made:
            with suppress(OSError):  # there is something in it
                directory.rmdir()
        raise
    finally:
        os.close(descriptor)
