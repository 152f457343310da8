"""The studies that a storage has open in this process, and the trials in them. Not safe for threads."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from time import monotonic
from typing import Final

from optuna.exceptions import UpdateFinishedTrialError

from ..errors import ServerUnavailable
from . import entry
from .attendance import Attendance
from .entering import enter
from .failover import Failover
from .host_studies import HostStudies
from .index import StudyIndex
from .live_study import LiveStudy
from .standing import Standing
from .trial_record import TrialRecord

MOMENT: Final = 0.002
"""Seconds for which a sampler is content with what was known as its trial began."""


class OpenStudies:
    """Opens studies when they are first asked for, and finds the study of a trial."""

    def __init__(self) -> None:
        self._studies: dict[int, LiveStudy] = {}

    def begin(
        self,
        index: StudyIndex,
        attendance: Attendance,
        failover: Failover,
        host: HostStudies,
        standing: Standing,
    ) -> None:
        """Begin, or begin anew, with no study open."""
        self._index = index
        self._attendance = attendance
        self._failover = failover
        self._host = host
        self._standing = standing
        self._studies.clear()

    def __contains__(self, study_id: int) -> bool:
        return study_id in self._studies

    def __iter__(self) -> Iterator[LiveStudy]:
        return iter(list(self._studies.values()))

    @property
    def are_away(self) -> bool:
        """Whether a study goes on without its server."""
        return any(study.away is not None for study in self)

    def ids(self) -> Collection[int]:
        """Ids of all studies; while the server is away, of those that this host has.

        Raises ServerUnavailable if the server is away, and this host has none.
        """
        try:
            return self._index.studies().values()
        except ServerUnavailable:
            if here := {*self._studies, *self._host.ids()}:
                return here
            raise

    def close_files(self) -> None:
        """Close the files of this host."""
        self._host.close()

    def create(self, name: str, directions: list[int]) -> LiveStudy:
        """A new study. Raises as `StudyIndex.create`."""
        log = self._index.create(name, directions)
        replica, base = log.read(entry.new_lane())
        study = LiveStudy(log, replica, base, self._host, self._standing)
        self._add(study)
        return study

    def _add(self, study: LiveStudy) -> None:
        self._studies[study.study_id] = study
        study.on_loss = partial(self._attendance.say_again, study.study_id)
        if study.away is not None:
            self._failover.begin()

    def forget(self, study_id: int) -> None:
        """Give up a study that is no more."""
        self._attendance.forget(study_id)
        self._standing.turn(study_id, "online")
        del self._studies[study_id]

    def known(self, study_id: int) -> LiveStudy:
        """A study as it was when this process last looked. Raises KeyError if there is none."""
        study = self._studies.get(study_id)
        if study is None:
            study = enter(self._index.log(study_id), self._host, self._standing)
            self._add(study)
        return study

    def fresh(self, study_id: int) -> LiveStudy:
        """A study as it is now. Raises KeyError if there is none."""
        study = self.known(study_id)
        study.refresh()
        return study

    def fresh_for_sampler(self, study_id: int) -> LiveStudy:
        """A study as it is now, or as it was when this process began a trial in it, if that was a moment ago.

        A sampler reads all trials several times at the beginning of each. Raises KeyError if there is none.
        """
        study = self.known(study_id)
        if monotonic() - study.begun_at > MOMENT:
            study.refresh()
        return study

    def writable(self, study_id: int) -> LiveStudy:
        """A study in which this process has a lane of its own. Raises KeyError if there is none."""
        study = self.known(study_id)
        self._failover.begin()
        if study.away is not None:
            self._attendance.enter_later(study_id, study.lane)
            return study
        while not self._attendance.enter(study_id, study.lane):
            study.take_another_lane()
        return study

    def of_trial(self, trial_id: int) -> LiveStudy:
        """The study of a trial, in which the trial is known. Raises KeyError if there is none."""
        for study in self:
            if trial_id in study.replica.records:
                return study
        for study_id in self.ids():
            study = self.fresh(study_id)
            if trial_id in study.replica.records:
                return study
        raise KeyError(f"No trial with id {trial_id} exists.")

    def current(self, trial_id: int) -> tuple[LiveStudy, TrialRecord]:
        """A trial as it is now, and its study. What only this process changes is not asked for."""
        study = self.of_trial(trial_id)
        record = study.replica.records[trial_id]
        if not record.is_final and record.owner != study.lane:
            study.refresh()
            record = study.replica.records[trial_id]  # the study may have been read anew
        return study, record

    def updatable(self, trial_id: int) -> tuple[LiveStudy, TrialRecord]:
        """As `current`, of a trial that may be written. Raises UpdateFinishedTrialError if it is finished."""
        study, record = self.current(trial_id)
        if record.shown_state.is_finished():
            raise UpdateFinishedTrialError(
                f"Trial#{record.number} has already finished and can not be updated."
            )
        return self.writable(study.study_id), record

    def with_own_trials(self) -> list[int]:
        """Ids of the studies in which trials of this process run."""
        return [
            study.study_id
            for study in self
            if any(record.owner == study.lane for record in study.replica.running())
        ]
