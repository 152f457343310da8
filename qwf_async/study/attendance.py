"""That trials of dead processes do not run for ever, in every process that writes.

A thread of each storage says every 15 s that its process lives, and looks every 5 s whether the
owners of running trials do. A process of this host is seen at once to be dead; of another host,
if the server has heard nothing of it for as long as this process has watched for 60 s.
"""

from __future__ import annotations

import copy
import logging
import threading
import time
import weakref
from abc import abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.trial import TrialState

from ..errors import QwfError
from .keys import StudyKeys
from .link import Server
from .scripts import BEAT
from .writer import Writer

BEAT_SECONDS: Final = 15.0
LEASE_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 5.0

logger = logging.getLogger(__name__)


class AttendedStorage(BaseStorage, BaseHeartbeat):
    """What attendance needs of a storage."""

    @abstractmethod
    def running_trials(self, study_id: int) -> list[tuple[int, int]]:
        """Trial id and the lane of the owner of each trial that runs now."""


class Attendance:
    """Watches the studies that a storage writes, over a connection of its own."""

    def __init__(self, storage: AttendedStorage, server: Server, lane: int) -> None:
        self._storage = weakref.ref(storage)
        self._server = server.another()
        self._lane = lane
        self._studies: set[int] = set()
        self._writers: dict[int, dict[int, Writer]] = {}
        self._heard: dict[tuple[int, int], tuple[bytes | None, float]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def has_left(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    def enter(self, study_id: int) -> None:
        """Say that this process writes to a study, before its first entry. Does nothing if that was said."""
        if study_id in self._studies:
            return
        with suppress(QwfError):  # it is said again with each beat
            self._say(study_id, Writer.here())
        self._studies.add(study_id)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="qwf-study-attendance", daemon=True)
            self._thread.start()

    def forget(self, study_id: int) -> None:
        """Watch a study no longer."""
        self._studies.discard(study_id)

    def leave(self, study_ids: Iterable[int]) -> None:
        """Stop. Of the studies given, in which trials still run, say that this process ends in order."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        for study_id in study_ids:
            with suppress(QwfError):
                self._say(study_id, Writer.here(has_left=True))
        self._server.close()

    def stale_trials(self, storage: AttendedStorage, study_id: int) -> list[int]:
        """Ids of the running trials whose owners are dead. Asks the server about owners that it does not know."""
        running = [pair for pair in storage.running_trials(study_id) if pair[1] != self._lane]
        lanes = {lane for _, lane in running}
        writers = self._known(study_id, lanes)
        elsewhere = [lane for lane in lanes if lane in writers and not writers[lane].is_of_this_host]
        silent = self._silent(study_id, elsewhere)
        dead = {lane for lane in lanes if lane in silent or (lane in writers and writers[lane].is_dead_here)}
        return [trial_id for trial_id, lane in running if lane in dead]

    def _run(self) -> None:
        due = time.monotonic() + BEAT_SECONDS
        while not self._stop.wait(LOOK_SECONDS):
            for study_id in list(self._studies):
                try:
                    if time.monotonic() >= due:
                        self._say(study_id, Writer.here())
                    storage = self._storage()
                    if storage is None:
                        return
                    self._end_dead_trials(storage, study_id)
                except KeyError:
                    self.forget(study_id)  # it was removed
                except QwfError as error:
                    logger.debug("no look at study %d: %s", study_id, error)
                finally:
                    storage = None
            if time.monotonic() >= due:
                due = time.monotonic() + BEAT_SECONDS

    def _end_dead_trials(self, storage: AttendedStorage, study_id: int) -> None:
        """Fail the trials of dead owners, and tell the callback of the storage."""
        for trial_id in self.stale_trials(storage, study_id):
            with suppress(UpdateFinishedTrialError):  # another was first
                storage.set_trial_state_values(trial_id, TrialState.FAIL)
                logger.warning("the process of trial %d is dead: the trial has failed", trial_id)
                if (callback := storage.get_heartbeat_stale_trial_callback()) is not None:
                    study = optuna.load_study(
                        study_name=storage.get_study_name_from_id(study_id), storage=storage
                    )
                    callback(study, copy.deepcopy(storage.get_trial(trial_id)))

    def _known(self, study_id: int, lanes: set[int]) -> dict[int, Writer]:
        """Who writes by these lanes, as far as anybody said."""
        known = self._writers.setdefault(study_id, {})
        # Who seems to be dead may have left in order since it was last asked for.
        unsure = [lane for lane in lanes if lane not in known or known[lane].is_dead_here]
        if unsure:
            key = StudyKeys(prefix=self._server.prefix, study_id=study_id).writers
            for lane, text in zip(unsure, self._server.call(key, "HMGET", key, *unsure), strict=True):
                if text is not None and (writer := Writer.from_json(text)) is not None:
                    known[lane] = writer
        return known

    def _silent(self, study_id: int, lanes: list[int]) -> set[int]:
        """Those of the lanes whose last beat has been the same for as long as a lease, while this process watched."""
        if not lanes:
            return set()
        key = StudyKeys(prefix=self._server.prefix, study_id=study_id).beats
        now = time.monotonic()
        silent = set()
        for lane, beat in zip(
            lanes, self._server.call(key, "HMGET", key, *(f"w{lane}" for lane in lanes)), strict=True
        ):
            last, since = self._heard.get((study_id, lane), (b"", now))
            if beat != last:
                self._heard[study_id, lane] = (beat, now)
            elif now - since >= LEASE_SECONDS:
                silent.add(lane)
        return silent

    def _say(self, study_id: int, writer: Writer) -> None:
        keys = StudyKeys(prefix=self._server.prefix, study_id=study_id)
        self._server.eval(
            BEAT, (keys.head, keys.beats, keys.writers), [f"w{self._lane}", self._lane, writer.to_json()]
        )
