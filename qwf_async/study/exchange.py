"""Studies to a file and back: a backup, or the way to another server."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalog.keys import check_name
from ..errors import InvalidInput, UsageError
from ..exporting.whole_file import check_free, translated_errors, written_whole
from ..host.directory_sync import sync_directory
from ..optional import first_line
from ..wording import phrase, quoted
from .entry import lane_of_trial
from .index import StudyIndex
from .link import Server
from .new_study import NewStudy, name_taken, new_studies, patient_server
from .renumbered import with_parents
from .study_file import Head, StudyReader, StudyWriter

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from .storage import StudyStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """A study that was written to a file or read from one, and its number of trials."""

    name: str
    trials: int


def export_studies(
    storage: BaseStorage, names: Iterable[str] | None, path: str | Path, *, overwrite: bool = False
) -> list[Exchanged]:
    """Write studies, or all if `names` is None, to a file, whole or not at all. It may be any storage of Optuna.

    Raises InvalidInput if there is no such study, or if the file cannot be written or is there, unless
    `overwrite`; and what the storage raises.
    """
    path = Path(path)
    check_free(path, overwrite=overwrite)
    wanted = _ids(storage, names)
    written = []
    with translated_errors(path), written_whole(path) as new, new.open("xb") as file:
        writer = StudyWriter(file, len(wanted))
        for name, study_id in wanted.items():
            user, system = storage.get_study_user_attrs(study_id), storage.get_study_system_attrs(study_id)
            trials = storage.get_all_trials(study_id, deepcopy=False)
            directions = tuple(storage.get_study_directions(study_id))
            head = Head(
                name=name, directions=directions, trials=len(trials), user_attrs=user, system_attrs=system
            )
            writer.study(head, trials)
            written.append(Exchanged(name=name, trials=len(trials)))
        writer.end()
        file.flush()
        os.fsync(file.fileno())
    with translated_errors(path):
        sync_directory(path.parent)
    return written


def _ids(storage: BaseStorage, names: Iterable[str] | None) -> dict[str, int]:
    """Ids of studies by name, of all if `names` is None. Raises InvalidInput if there is none of a name."""
    if names is None:
        known = {study.study_name: study._study_id for study in storage.get_all_studies()}
        return dict(sorted(known.items()))
    found = {}
    for name in names:
        try:
            found[name] = storage.get_study_id_from_name(name)
        except KeyError as error:
            raise InvalidInput(f"there is no study {quoted(name)}") from error
    return found


def import_studies(path: str | Path, storage: StudyStorage, rename: str | None = None) -> list[Exchanged]:
    """Bring the studies of a file that `export_studies` wrote to the server: all of them, or none.

    The file is checked before anything is written. Trials keep their ids, unless these are of another
    storage of Optuna. With `rename` the only study of the file gets that name, and its trials get new
    ids, so that it may stand beside the original.
    A trial that runs in the file fails when this process ends, as that of any process.

    Raises InvalidInput if it is no such file or one of a newer release, DamagedData if it is
    damaged, Refused if there is a study of such a name, UsageError if `rename` is given for several
    studies; and what the link raises.
    """
    try:
        with open(path, "rb") as file, patient_server(storage) as server:
            reader = StudyReader(file, str(path))
            heads = reader.check()
            if rename is not None and len(heads) != 1:
                raise UsageError(
                    f"{path} holds {len(heads)} studies, and {phrase(command_line='--as', python='rename')} is for one"
                )
            check_names([rename] if rename is not None else [head.name for head in heads], server)
            return _import(reader, server, rename)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror or first_line(error)}") from error


def check_names(names: Iterable[str], server: Server) -> None:
    """Raises InvalidInput for what is no name of a study, and Refused if there is one of that name on the server."""
    index = StudyIndex(server)
    for name in names:
        if name:  # Optuna's contract of storages has the empty name
            check_name(name, "name of a study")
        if index.has(name):
            raise name_taken(name, server)


def _import(reader: StudyReader, server: Server, rename: str | None) -> list[Exchanged]:
    imported = []
    with new_studies(server) as studies:
        for head, trials in reader.studies():
            study = NewStudy(server, head.name if rename is None else rename, head.directions)
            studies.append(study)
            ids = {}
            for trial_id, record in trials:
                keeps = rename is None and lane_of_trial(
                    trial_id
                )  # the ids of other storages may be anybody's
                ids[trial_id] = trial_id if keeps else study.next_id()
                study.add(ids[trial_id], record)
            study.set_attributes(head.user_attrs, with_parents(head.system_attrs, ids))
            study.finish(goes_on=False)
            imported.append(Exchanged(name=study.name, trials=len(ids)))
    return imported
