"""`restore`: wavefunctions of a backup put back into a store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread
from numpy.typing import NDArray

from ..catalog.keys import Keys
from ..catalog.name_state import NameState, read_state
from ..checked import checked
from ..errors import DamagedData, InvalidInput, QwfError, Refused
from ..events import Event, Hook, Noted, Progress
from ..ingesting.ingestion import ingest_in
from ..ingesting.report import Report
from ..store.store import Store
from ..wire.codec import digest
from ..wording import flag, phrase
from .backup_record import ENDING, BackupRecord, recorded_names
from .copy_source import CopySource
from .snapshot import ChangedMeanwhile, NotThere, Snapshot
from .values_file import ValuesFile


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What a restore did: the reports of the names that it stored, and the names that were there `already`."""

    directory: str
    restored: tuple[Report, ...]
    already: tuple[str, ...]
    points: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@checked
async def restore(
    store: Store,
    directory: Path | str,
    *,
    names: tuple[str, ...] | None = None,
    overwrite: bool = False,
    resume: bool = True,
    force: bool = False,
    configure_server: bool = False,
    signals: bool = False,
    hooks: Sequence[Hook] = (),
) -> RestoreReport:
    """Store wavefunctions of a backup under their names, each published whole, in the form that it had.

    All of it if `names` is None. A file is compared with its checksum before anything of it is stored, and
    each chunk with its digest when it is. What is on the server already with the same values is left as it
    is, so the call can be repeated after any interruption. `overwrite` replaces other things that have the
    names, and throws unfinished loads of them away. With `resume` false, what an interrupted restore left is
    begun anew. `force`, `configure_server`, `signals` and `hooks` are as for `ingest`.

    Raises
    ------
    InvalidInput: the directory is no backup, or has no such name.
    Refused: a name exists with other values, or has an unfinished load: nothing is stored then, of no name.
    DamagedData: a file of the backup is damaged. The others are restored.
    Whatever else `ingest` raises.
    """
    begun, place = time.perf_counter(), Path(directory)
    there = await anyio.to_thread.run_sync(recorded_names, place)
    if not there:
        raise InvalidInput(f"{place} holds no backup")
    if missing := sorted(set(names or ()) - set(there)):
        raise InvalidInput(f"the backup {place} has no {', '.join(missing)}")
    errors: list[QwfError] = []
    wanted: list[BackupRecord] = []
    for name in there if names is None else dict.fromkeys(names):
        try:
            wanted.append(await anyio.to_thread.run_sync(BackupRecord.read, place / f"{name}{ENDING}"))
        except DamagedData as error:
            errors.append(error)
    already = [record.name for record in wanted if await _is_there(store, record)]
    left = [record for record in wanted if record.name not in already]
    if not overwrite:
        await _check_free(store, left)
    total = sum(record.manifest.points for record in left)
    reports: list[Report] = []
    done = 0
    told: set[Noted] = set()

    def tell(event: Event) -> None:
        if isinstance(event, Noted):  # that the server has no limit, once is enough for all names
            if event in told:
                return
            told.add(event)
        if isinstance(event, Progress):
            event = Progress(points=done + event.points, total=total, bytes_sent=event.bytes_sent)
        for hook in hooks:
            hook(event)

    for record in left:
        try:
            reports.append(
                await _restored(
                    store,
                    place,
                    record,
                    resume=resume,
                    force=force,
                    configure_server=configure_server,
                    signals=signals,
                    hooks=(tell,),
                )
            )
        except DamagedData as error:
            errors.append(error)
        done += record.manifest.points
    for other in errors[1:]:
        tell(Noted(text=str(other), warning=True))
    if errors:
        raise errors[0]
    return RestoreReport(
        directory=str(place),
        restored=tuple(reports),
        already=tuple(already),
        points=sum(report.points for report in reports),
        seconds=time.perf_counter() - begun,
    )


async def _is_there(store: Store, record: BackupRecord) -> bool:
    """Whether the values of a record are published under its name, in the same form, and nothing is under way."""
    state = await read_state(store.pool, Keys(prefix=store.settings.prefix, name=record.name))
    published = state.published
    if published is None or state.under_way is not None or published.form != record.manifest.form:
        return False
    if published.fingerprint != record.manifest.fingerprint:
        return False
    try:
        snapshot = await Snapshot.take(store, record.name)
        if not record.holds(snapshot.manifest, snapshot.digests):
            return False
        await snapshot.check_unchanged()
    except (ChangedMeanwhile, DamagedData, NotThere):
        return False
    return True


async def _check_free(store: Store, records: Sequence[BackupRecord]) -> None:
    """Raises Refused if one of the names has something that is not of the same backup, before anything is stored."""
    taken = []
    for record in records:
        state = await read_state(store.pool, Keys(prefix=store.settings.prefix, name=record.name))
        if (state.published or state.under_way) and not _is_resumed(state, record):
            taken.append(record.name)
    if taken:
        others = phrase(command_line="--name", python="names")
        raise Refused(
            f"there is something else under {', '.join(taken)}, and nothing was restored: {flag('overwrite')} "
            f"replaces it, and {others} chooses others"
        )


def _is_resumed(state: NameState, record: BackupRecord) -> bool:
    """Whether a load of the same backup is unfinished."""
    load = state.under_way
    return load is not None and (load.manifest.copy_of, load.manifest.form) == (
        record.copy_of,
        record.manifest.form,
    )


async def _restored(
    store: Store, directory: Path, record: BackupRecord, *, resume: bool, **options: Any
) -> Report:
    manifest = record.manifest
    file = ValuesFile(path=directory / record.file, manifest=manifest)

    def check() -> None:
        file.check()
        try:
            checksum = file.checksum()
        except OSError as error:
            raise DamagedData(f"{file.path} cannot be read: {error.strerror}") from error
        if checksum != record.checksum:
            raise DamagedData(f"{file.path} is damaged: its SHA-256 is not that of the backup's record")

    def load(chunks: Sequence[int]) -> list[NDArray[Any]]:
        values = []
        for chunk in chunks:
            values.append(file.chunk(chunk))
            if digest(manifest.form.codec, values[-1]) != record.digests[chunk]:
                raise DamagedData(f"{file.path} is damaged in chunk {chunk}")
        return values

    await anyio.to_thread.run_sync(check, abandon_on_cancel=True)
    copied = {"copy_of": record.copy_of, "created": manifest.created}
    state = await read_state(store.pool, Keys(prefix=store.settings.prefix, name=record.name))
    resume = resume and _is_resumed(state, record)
    return await ingest_in(
        [manifest.form],
        CopySource(manifest, [manifest.form], copied, load),
        store,
        record.name,
        resume=resume,
        discard=not resume and state.under_way is not None,
        overwrite=True,
        allow_nonfinite=True,
        **options,
    )
