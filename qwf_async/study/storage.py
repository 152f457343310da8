"""Studies of Optuna on Redis or Valkey: the storage that Optuna is given."""

from __future__ import annotations

import copy
import os
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, check_distribution_compatibility, distribution_to_json
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._base import DEFAULT_STUDY_NAME_PREFIX
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from ..errors import ServerUnavailable
from ..settings import load
from . import entry
from .ahead import SAMPLERS_OWN
from .attendance import Attendance
from .bringing import BringingStorage
from .end_of_use import watch
from .failover import Failover, LookedAfter
from .host_studies import HostStudies
from .index import StudyIndex
from .keys import StudyKeys
from .link import Server
from .live_study import LiveStudy
from .open_studies import OpenStudies
from .scripts import BEAT
from .standing import Standing
from .whole_trial import record_of

if TYPE_CHECKING:
    from optuna import Study

    from ..settings import Settings
    from .place import Place


class StudyStorage(BringingStorage, LookedAfter):
    """A storage of Optuna: a log of each study on the server, and its state in this process.

    `url` is as for wavefunctions: without one it is QWF_URL, REDIS_URL, or the embedded server. Safe
    for threads. It may be pickled, and used after a fork: the copy has connections of its own.

    The trials of a process that died fail within seconds on its host, and after a minute elsewhere. With
    `heartbeat_interval` and `grace_period` (seconds) each trial has a heartbeat besides, as with
    `optuna.storages.RDBStorage`, by the server's clock. `heartbeat_stale_trial_callback` is called with
    the study and the failed trial in both cases: `optuna.storages.RetryHeartbeatStaleTrialCallback` for example.

    When the server has been away for `after` (seconds), the study goes on in a file in `directory` (None means
    that of the spools) which all processes of this host share, and is brought to the server when that is back.
    With `keep_copy` that file has a copy of the study, too, from which a process can start meanwhile.

    Its methods are those of `optuna.storages.BaseStorage`, with its errors. Besides they raise
    ServerUnavailable, Refused, OutOfMemory and DamagedData, as all calls of this package.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        settings: Settings | None = None,
        heartbeat_interval: int | None = None,
        grace_period: int | None = None,
        heartbeat_stale_trial_callback: Callable[[Study, FrozenTrial], None] | None = None,
        after: float = 0.5,
        directory: Path | str | None = None,
        keep_copy: bool = True,
    ) -> None:
        if heartbeat_interval is not None and heartbeat_interval <= 0:
            raise ValueError("heartbeat_interval is a positive number of seconds")
        if grace_period is not None and grace_period <= 0:
            raise ValueError("grace_period is a positive number of seconds")
        settings = load() if settings is None else settings
        self._server = Server.open(url, settings=settings, after=after)
        self._directory = settings.spool_directory if directory is None else Path(directory)
        self._keep_copy = keep_copy
        self._heartbeat_interval = heartbeat_interval
        self._grace_period = grace_period
        self._callback = heartbeat_stale_trial_callback
        self._studies = OpenStudies()
        self.begin()
        watch(self, self._studies, self._server)
        self.give_back()

    def begin(self) -> None:
        """Begin in this process: with a lane of its own, and no study open."""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._host = HostStudies(
            self._directory,
            server=self._server.address.identity,
            prefix=self._server.prefix,
            keep_copy=self._keep_copy,
        )
        self.standing = Standing()
        self._index = StudyIndex(self._server, self._host)
        self._trials_begun = 0
        self._attendance = Attendance(self, self._server)
        self._failover = Failover(self, self._server)
        self._studies.begin(self._index, self._attendance, self._failover, self._host, self.standing)

    def __getstate__(self) -> dict[str, Any]:
        kept = ("_server", "_directory", "_keep_copy", "_heartbeat_interval", "_grace_period", "_callback")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._studies = OpenStudies()
        self.begin()
        watch(self, self._studies, self._server)

    def close(self) -> None:
        """Close the connections. All that was written is stored; a trial that still runs may be told by others."""
        self.end(in_order=True)

    def end(self, *, in_order: bool) -> None:
        """Close. Not `in_order`, trials that still run are those of a process that died."""
        with self._lock:
            running = self._studies.with_own_trials()
        try:
            self.flush()
        finally:
            self._attendance.leave(running, in_order=in_order)
            self._failover.leave()
            with self._lock:
                self._server.close()
                self._host.close()
                self.begin()  # it may be used again

    @property
    def place(self) -> Place:
        """Where the server is."""
        return self._server.place

    @property
    def is_of_this_process(self) -> bool:
        """Whether it was opened in this process, and not in one that was forked from."""
        return self._pid == os.getpid()

    # Studies

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """A new study. Raises DuplicatedStudyError if there is one of that name, InvalidInput if it is no name."""
        name = f"{DEFAULT_STUDY_NAME_PREFIX}{uuid.uuid4()}" if study_name is None else study_name
        with self._lock:
            return self._studies.create(name, list(map(int, directions))).study_id

    def delete_study(self, study_id: int) -> None:
        with self._lock:
            study = self._studies.known(study_id)
            study.refuse_if_away("a study can only be removed while the server is there")
            with self._failover.without(study_id):
                self._index.remove(study.replica.name, study_id)
            self._studies.forget(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        with self._lock:
            self._studies.writable(study_id).write(entry.STUDY_USER_ATTRIBUTE, 0, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        with self._lock:
            self._studies.writable(study_id).write(entry.STUDY_SYSTEM_ATTRIBUTE, 0, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        with self._lock:
            return self._index.study_id(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        with self._lock:
            return self._studies.known(study_id).replica.name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        with self._lock:
            return list(self._studies.known(study_id).replica.directions)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        with self._lock:
            return copy.deepcopy(self._studies.fresh(study_id).replica.user_attrs)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        with self._lock:
            return copy.deepcopy(self._studies.fresh(study_id).replica.system_attrs)

    def get_all_studies(self) -> list[FrozenStudy]:
        with self._lock:
            found = []
            for study_id in sorted(self._studies.ids()):
                try:
                    is_open = study_id in self._studies or self._studies.are_away
                    replica = (
                        self._studies.fresh(study_id).replica if is_open else self._index.glance(study_id)
                    )
                except KeyError:
                    continue  # it was removed meanwhile
                found.append(
                    FrozenStudy(
                        study_name=replica.name,
                        direction=None,
                        directions=replica.directions,
                        user_attrs=copy.deepcopy(replica.user_attrs),
                        system_attrs=copy.deepcopy(replica.system_attrs),
                        study_id=study_id,
                    )
                )
            return found

    # Trials: writing

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        with self._lock:
            study = self._studies.writable(study_id)
            self._trials_begun += 1
            trial_id = entry.trial_id_of(study.lane, self._trials_begun)
            if template_trial is None:
                study.write(entry.CREATION, trial_id, datetime.now().isoformat())
                study.begun_at = monotonic()
            else:
                study.write(entry.WHOLE, trial_id, *record_of(template_trial))
            study.show(trial_id)
            state = TrialState.RUNNING if template_trial is None else template_trial.state
            self.standing.trials[state.name.lower()] += 1
            return trial_id

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        with self._lock:
            study, record = self._studies.updatable(trial_id)
            known = study.replica.distribution(param_name)
            if known is not None and known.distribution == distribution:
                text = known.text
            else:
                text = distribution_to_json(distribution)
            if known is not None:
                check_distribution_compatibility(known.distribution, distribution)
            parameter = (param_name, param_value_internal, text)
            if known is not None and record.owner == study.lane:
                study.ahead.set_parameter(record, parameter)
                self._attendance.write_soon()
            else:  # the log decides who names a parameter first
                study.write(entry.PARAMETERS, trial_id, [parameter])

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        with self._lock:
            study, record = self._studies.updatable(trial_id)
            if state is TrialState.RUNNING and (
                record.state is not TrialState.WAITING or not study.may_take(trial_id)
            ):
                return False
            listed = None if values is None else list(values)
            time = datetime.now().isoformat()
            if state is TrialState.FAIL and record.owner != study.lane:
                study.write(entry.FAILURE, trial_id, time)
            else:
                study.write(entry.STATE, trial_id, int(state), listed, time)
            record = study.replica.records[trial_id]  # it may have been read anew
            if state is TrialState.RUNNING:
                is_taken = record.owner == study.lane and record.state is TrialState.RUNNING
                if is_taken:
                    study.show(trial_id, is_taken=True)
                    self.standing.trials["running"] += 1
                return is_taken
            if record.state is not state or (record.is_provisional and record.failed_by != study.lane):
                raise UpdateFinishedTrialError(
                    f"another process has finished trial {record.number} meanwhile"
                )
            self.standing.trials[state.name.lower()] += 1
            return True

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        with self._lock:
            self._studies.updatable(trial_id)[0].write(entry.REPORT, trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self._lock:
            self._studies.updatable(trial_id)[0].write(entry.USER_ATTRIBUTE, trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self._lock:
            study, record = self._studies.updatable(trial_id)
            if key.startswith(SAMPLERS_OWN) and record.owner == study.lane:
                study.ahead.set_attribute(record, key, value)
                self._attendance.write_soon()
            else:
                study.write(entry.SYSTEM_ATTRIBUTE, trial_id, key, value)

    # Trials: reading

    def get_trial(self, trial_id: int) -> FrozenTrial:
        with self._lock:
            return self._studies.current(trial_id)[1].frozen()

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        with self._lock:
            if deepcopy or states == (TrialState.WAITING,):
                study = self._studies.fresh(study_id)
            else:
                study = self._studies.fresh_for_sampler(study_id)
            trials = study.replica.trials(states)
        return copy.deepcopy(trials) if deepcopy else trials

    def get_n_trials(self, study_id: int, state: tuple[TrialState, ...] | TrialState | None = None) -> int:
        states = (state,) if isinstance(state, TrialState) else state
        with self._lock:
            return self._studies.fresh(study_id).replica.count(states)

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        with self._lock:
            replica = self._studies.fresh(study_id).replica
            if len(replica.directions) > 1:
                raise RuntimeError("Best trial can be obtained only for single-objective optimization.")
            best = replica.best()
            if best is None:
                raise ValueError("No trials are completed yet.")
            return best

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        with self._lock:
            record = self._studies.known(study_id).replica.numbered(trial_number)
            if record is None:
                record = self._studies.fresh(study_id).replica.numbered(trial_number)
            if record is None:
                raise KeyError(
                    f"No trial with trial number {trial_number} exists in study with id {study_id}."
                )
            return record.trial_id

    # Heartbeats

    def record_heartbeat(self, trial_id: int) -> None:
        with self._lock:
            study = self._studies.of_trial(trial_id)
            if study.away is not None:
                return
            keys = StudyKeys(prefix=self._server.prefix, study_id=study.study_id)
            with suppress(ServerUnavailable):  # it counts from the last that the server got
                self._server.eval(BEAT, (keys.head, keys.beats, keys.writers), [trial_id])

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        """Ids of running trials whose own heartbeat is older than the grace period, or whose process is dead.

        None while the server is away: only that knows.
        """
        grace = self._grace_period
        if grace is None and self._heartbeat_interval is not None:
            grace = 2 * self._heartbeat_interval
        with suppress(ServerUnavailable):
            with self._lock:
                is_away = self._studies.fresh(study_id).away is not None
            return [] if is_away else self._attendance.stale_trials(self, study_id, grace)
        return []

    def flush(self) -> None:
        """Write the parameters that wait for the next entry of their trial."""
        with self._lock:
            for study in self._studies:
                with suppress(KeyError):  # it was removed
                    study.flush()

    def open_studies(self) -> list[LiveStudy]:
        with self._lock:
            return [study for study in self._studies if study.has_file]

    def running_trials(self, study_id: int) -> list[tuple[int, int]]:
        """Trial id and the lane of the owner of each trial that runs now."""
        with self._lock:
            running = self._studies.fresh(study_id).replica.running()
            return [(record.trial_id, record.owner) for record in running]

    def count_states(self, study_id: int) -> Counter[str]:
        is_open = study_id in self._studies
        replica = self._studies.fresh(study_id).replica if is_open else self._index.log(study_id).read(0)[0]
        return Counter({state.name: replica.count((state,)) for state in TrialState})

    def distribution(self, study_id: int, name: str) -> BaseDistribution | None:
        """The distribution that a parameter has in the trials of a study. None if it has none."""
        with self._lock:
            known = self._studies.fresh(study_id).replica.distribution(name)
            return None if known is None else known.distribution
