"""Studies of Optuna's other storages are taken over, and then compared with what they were taken from."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ..catalog.keys import check_name, is_name
from ..errors import DamagedData, InvalidInput, UsageError
from ..wording import option, phrase, quoted
from . import entry
from .entry import to_json
from .foreign.found import ForeignStudy
from .foreign.source import source_of
from .index import StudyIndex
from .link import Server
from .new_study import NewStudy, name_taken, new_studies, patient_server
from .renumbered import numbered_record, with_parents
from .server_log import ServerLog

if TYPE_CHECKING:
    from ..settings import Settings
    from .storage import StudyStorage

MIGRATED_FROM: Final = "qwf:migrated_from"
"""The system attribute of a study that was taken over: where from, and its name there."""

WAS_RUNNING: Final = "qwf:was_running"
"""The system attribute of a trial that was running when it was taken over, and has failed therefore."""

_KEPT_OF_NAME: Final = 119


@dataclass(frozen=True, slots=True, kw_only=True)
class MigratedStudy:
    """A study that is taken over. `old_name` is its name where it comes from, `failed` how many trials ran there.

    `was_there`: it was taken over before, and nothing was written.
    """

    name: str
    old_name: str
    trials: int
    failed: int = 0
    was_there: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What was taken over, or would be if it is `dry`; `notes` is what the user must know of the source."""

    source: str
    studies: list[MigratedStudy]
    notes: list[str] = field(default_factory=list)
    dry: bool = False


def migrate(
    source: str | os.PathLike[str],
    storage: StudyStorage,
    *,
    study: str | None = None,
    rename: str | None = None,
    dry_run: bool = False,
    skip_holes: bool = False,
    keep_running: bool = False,
    settings: Settings | None = None,
) -> Migration:
    """Take over the studies of another storage of Optuna, or only `study`: all of them, or none after an error.

    `source` is redis://…#prefix for JournalRedisBackend, the path of a journal file, or sqlite:///…,
    mysql://…, postgresql://… for RDBStorage. It is only read: stop what writes there before.
    Trials keep their order and get new ids. A trial that runs fails, unless `keep_running`: then it
    waits for whoever tells it. A study whose name may not stand here gets one made of it, or
    `rename`, which needs `study` or a source with one. What was taken over before is left as it is.

    Entries of a log that are lost stop it, unless `skip_holes`. Afterwards all trials and the best one are
    compared with the source. Raises InvalidInput if there is no such source or study, DamagedData
    if the source is damaged or the comparison fails, Refused if another study has the name,
    UsageError for a `source` or `rename` that makes no sense; and what the link raises.
    """
    taken = source_of(os.fspath(source), settings=settings)
    found = taken.read(skip_holes=skip_holes)
    studies = found.studies
    if study is not None:
        studies = [one for one in studies if one.name == study]
        if not studies:
            there = ", ".join(quoted(one.name) for one in found.studies[:20]) or "none"
            raise InvalidInput(f"there is no study {quoted(study)} in {taken.shown}, but {there}")
    if rename is not None:
        check_name(rename, "name of a study")
        if len(studies) != 1:
            raise UsageError(
                f"{phrase(command_line='--as', python='rename')} is for one study: name it by {option('study')}"
            )
    names = [new_name(one.name) if rename is None else rename for one in studies]
    migrated = []
    with patient_server(storage) as server:
        present = [
            _is_present(name, taken.shown, one.name, server) for name, one in zip(names, studies, strict=True)
        ]
        with new_studies(server) as new:
            for name, one, is_there in zip(names, studies, present, strict=True):
                failed = 0 if keep_running else sum(trial.state is TrialState.RUNNING for trial in one.trials)
                if not is_there and not dry_run:
                    trials = one.trials if keep_running else list(map(without_ghost, one.trials))
                    _take_over(
                        one, trials, taken.shown, NewStudy(server, name, one.directions), new, keep_running
                    )
                migrated.append(
                    MigratedStudy(
                        name=name,
                        old_name=one.name,
                        trials=len(one.trials),
                        failed=failed,
                        was_there=is_there,
                    )
                )
    return Migration(source=taken.shown, studies=migrated, notes=found.notes, dry=dry_run)


def new_name(name: str) -> str:
    """The name, if it may stand here; else one made of it, which is always the same and no other study's."""
    if is_name(name):
        return name
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)[:_KEPT_OF_NAME]}-{digest}"


def without_ghost(trial: FrozenTrial) -> FrozenTrial:
    """The trial; if it runs, the one that has failed instead: what ran it does not write here."""
    if trial.state is not TrialState.RUNNING:
        return trial
    now = datetime.now()
    return FrozenTrial(
        number=trial.number,
        state=TrialState.FAIL,
        value=None,
        values=trial.values,
        datetime_start=trial.datetime_start or now,
        datetime_complete=now,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
        system_attrs={**trial.system_attrs, WAS_RUNNING: True},
        intermediate_values=trial.intermediate_values,
        trial_id=trial._trial_id,
    )


def _is_present(name: str, source: str, old_name: str, server: Server) -> bool:
    """Whether the study was taken over before. Raises Refused if another has its name."""
    index = StudyIndex(server)
    if not index.has(name):
        return False
    there = index.glance(index.study_id(name)).system_attrs.get(MIGRATED_FROM)
    if there != {"source": source, "study": old_name}:
        raise name_taken(name, server)
    return True


def _take_over(
    study: ForeignStudy,
    trials: Sequence[FrozenTrial],
    source: str,
    new: NewStudy,
    all_new: list[NewStudy],
    goes_on: bool,
) -> None:
    all_new.append(new)
    ids: dict[int, int] = {}
    for number, trial in enumerate(trials):
        ids[trial._trial_id] = new.next_id()
        new.add(ids[trial._trial_id], numbered_record(trial, number))
    system = with_parents(study.system_attrs, ids) | {MIGRATED_FROM: {"source": source, "study": study.name}}
    new.set_attributes(study.user_attrs, system)
    new.finish(goes_on=goes_on)
    _compare(study, trials, ids, new, system)


def _compare(
    study: ForeignStudy,
    trials: Sequence[FrozenTrial],
    ids: Mapping[int, int],
    new: NewStudy,
    system: dict[str, Any],
) -> None:
    """Raises DamagedData unless the server has the trials, the attributes and the best trial as they were read."""
    replica, _ = ServerLog(new.server, new.study_id).read(entry.new_lane())
    stored = replica.trials()
    if len(stored) != len(trials):
        raise _differs(study, f"{len(stored):,} trials are stored of {len(trials):,}")
    for number, (trial, there) in enumerate(zip(trials, stored, strict=True)):
        expected = [ids[trial._trial_id], *numbered_record(trial, number)]
        if to_json(expected) != to_json([there._trial_id, *numbered_record(there, number)]):
            raise _differs(study, f"trial {number:,} is stored as {quoted(there)}")
    if to_json([study.user_attrs, system]) != to_json([replica.user_attrs, replica.system_attrs]):
        raise _differs(study, "its attributes are stored in another form")
    if len(study.directions) == 1:
        best, there_best = _best(trials, study.directions[0]), replica.best()
        if (best and ids[best._trial_id]) != (there_best and there_best._trial_id):
            raise _differs(study, f"its best trial is stored as {quoted(there_best)}")


def _best(trials: Sequence[FrozenTrial], direction: StudyDirection) -> FrozenTrial | None:
    """The completed trial with the best value, the first of several."""
    completed = [trial for trial in trials if trial.state is TrialState.COMPLETE and trial.value is not None]
    sign = -1 if direction is StudyDirection.MAXIMIZE else 1
    return min(completed, key=lambda trial: sign * (trial.value or 0.0), default=None)


def _differs(study: ForeignStudy, what: str) -> DamagedData:
    return DamagedData(
        f"the study {quoted(study.name)} was not taken over, because it differs afterwards: {what}"
    )
