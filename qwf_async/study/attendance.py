"""That trials of dead processes do not run for ever, in every process that writes.

A thread of each storage says every 15 s that its process lives, and looks every 5 s whether the
owners of running trials do. A process of this host is seen at once to be dead; of another host, or one of
which nobody knows, if the server has heard nothing of it for as long as this process has watched for 60 s.
"""

from __future__ import annotations

import copy
import logging
import secrets
import threading
import time
import weakref
from abc import abstractmethod
from collections.abc import Callable, Container
from contextlib import suppress
from typing import Final

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from ..client.reply import is_number, is_texts_or_none
from ..errors import QwfError, ServerUnavailable
from .keys import StudyKeys
from .link import Server
from .scripts import BEAT, BEATS, CLAIM
from .writer import Writer

BEAT_SECONDS: Final = 15.0
LEASE_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 5.0
WRITE_SECONDS: Final = 0.1
AGAIN_SECONDS: Final = 0.5

logger = logging.getLogger(__name__)


class AttendedStorage(BaseStorage, BaseHeartbeat):
    """What attendance needs of a storage."""

    _heartbeat_interval: int | None
    _callback: Callable[[Study, FrozenTrial], None] | None

    def get_heartbeat_interval(self) -> int | None:
        return self._heartbeat_interval

    def get_heartbeat_stale_trial_callback(self) -> Callable[[Study, FrozenTrial], None] | None:
        return self._callback

    def get_failed_trial_callback(self) -> Callable[[Study, FrozenTrial], None] | None:
        return self._callback  # the name before Optuna 4.9

    @abstractmethod
    def running_trials(self, study_id: int) -> list[tuple[int, int]]:
        """Trial id and the lane of the owner of each trial that runs now."""

    @abstractmethod
    def flush(self) -> None:
        """Write what waits to be written with the next entry."""


class Attendance:
    """Watches the studies that a storage writes, over a connection of its own."""

    def __init__(self, storage: AttendedStorage, server: Server) -> None:
        self._storage = weakref.ref(storage)
        self._server = server.another()
        self._token = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._lost: set[int] = set()
        self._lanes: dict[int, int] = {}
        self._writers: dict[int, dict[int, Writer]] = {}
        self._heard: dict[tuple[int, int], tuple[bytes | None, float]] = {}
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def enter(self, study_id: int, lane: int) -> bool:
        """Say that this process writes to a study by a lane, before its first entry. Does nothing if that was said.

        Returns False if another process has or had this lane there.
        """
        if study_id in self._lanes:
            return True
        keys = self._keys(study_id)
        self._lost.add(study_id)
        with suppress(ServerUnavailable):  # it is said soon
            claim: list[str | int] = [lane, Writer.here(self._token).to_json()]
            with self._lock:
                is_ours = self._server.eval(CLAIM, (keys.head, keys.writers, keys.seq), claim)
            if not is_ours:
                return False
            self._lost.discard(study_id)
        self.enter_later(study_id, lane)
        return True

    def enter_later(self, study_id: int, lane: int) -> None:
        """As `enter`, while the server is away: it is said when that is back."""
        self._lanes.setdefault(study_id, lane)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="qwf-study-attendance", daemon=True)
            self._thread.start()

    def say_again(self, study_id: int) -> None:
        """Say who writes to a study whose server lost it: this process, and the others that it knows of.

        Else nobody would see that one of them has died.
        """
        self._lost.add(study_id)  # if it cannot be said now, it is said soon
        key = self._keys(study_id).writers
        with suppress(QwfError):
            if study_id in self._lanes:
                self._say(study_id, Writer.here(self._token))
            for lane, writer in list(self._writers.get(study_id, {}).items()):
                with self._lock:
                    self._server.call(key, "HSETNX", key, lane, writer.to_json(), expect=is_number)
            self._lost.discard(study_id)

    def forget(self, study_id: int) -> None:
        """Watch a study no longer."""
        self._lanes.pop(study_id, None)
        self._lost.discard(study_id)

    def leave(self, running: Container[int], *, in_order: bool = True) -> None:
        """Stop, and say that this process ends, `in_order` or not. In the studies given, trials of it still run."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        for study_id, lane in self._lanes.items():
            keys = self._keys(study_id)
            with suppress(QwfError):
                if study_id in running and in_order:
                    self._say(study_id, Writer.here(self._token, has_left=True))
                elif study_id not in running:
                    self._server.call(keys.writers, "HDEL", keys.writers, lane, expect=is_number)
                    self._server.call(keys.beats, "HDEL", keys.beats, f"w{lane}", expect=is_number)
        self._server.close()

    def stale_trials(self, storage: AttendedStorage, study_id: int, grace: float | None = None) -> list[int]:
        """Ids of the running trials whose owners are dead. Asks the server about owners that it does not know.

        With `grace` (seconds) those besides whose own heartbeat is older, by the server's clock.
        """
        running = storage.running_trials(study_id)
        lanes = {lane for _, lane in running if lane != self._lanes.get(study_id)}
        writers = self._known(study_id, lanes)
        elsewhere = [lane for lane in lanes if lane not in writers or writers[lane].must_be_heard]
        silent = self._silent(study_id, elsewhere)
        dead = {lane for lane in lanes if lane in silent or (lane in writers and writers[lane].is_dead_here)}
        late = self._late(study_id, [trial_id for trial_id, _ in running], grace)
        return [trial_id for trial_id, lane in running if lane in dead or trial_id in late]

    def _late(self, study_id: int, running: list[int], grace: float | None) -> set[int]:
        """Those of the trials whose own heartbeat is older than the grace period."""
        if grace is None or not running:
            return set()
        with self._lock:
            now, beats = self._server.eval(BEATS, (self._keys(study_id).beats,), running)
        return {
            trial_id
            for trial_id, beat in zip(running, beats, strict=True)
            if beat is not None and int(now) - int(beat) > 1000 * grace
        }

    def write_soon(self) -> None:
        """Let the storage write what waits in it, if it has not done so in a moment."""
        self._wake.set()

    def _run(self) -> None:
        look = time.monotonic() + LOOK_SECONDS
        beat = time.monotonic() + BEAT_SECONDS
        while not self._stop.is_set():
            pause = AGAIN_SECONDS if self._lost else max(0.0, look - time.monotonic())
            has_to_write = self._wake.wait(pause)
            if has_to_write and self._stop.wait(WRITE_SECONDS):
                return
            self._wake.clear()
            storage = self._storage()
            if storage is None:
                return
            if has_to_write:
                with suppress(QwfError, KeyError):  # whoever writes next is told
                    storage.flush()
            for study_id in list(self._lost):
                self.say_again(study_id)
            if time.monotonic() >= look:
                is_due = time.monotonic() >= beat
                for study_id in list(self._lanes):
                    self._look(storage, study_id, is_due)
                look = time.monotonic() + LOOK_SECONDS
                beat = time.monotonic() + BEAT_SECONDS if is_due else beat
            del storage

    def _look(self, storage: AttendedStorage, study_id: int, is_due: bool) -> None:
        """Say that this process lives, if that is due, and look after the trials of others."""
        try:
            if is_due:
                self._say(study_id, Writer.here(self._token))
            self._end_dead_trials(storage, study_id)
        except KeyError:
            self.forget(study_id)  # it was removed
        except QwfError as error:
            logger.debug("no look at study %d: %s", study_id, error)

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
        unsure = [
            lane
            for lane in lanes
            if lane not in known or known[lane].is_dead_here or known[lane].must_be_heard
        ]
        if unsure:
            key = self._keys(study_id).writers
            with self._lock:
                texts = self._server.call(key, "HMGET", key, *unsure, expect=is_texts_or_none)
            for lane, text in zip(unsure, texts, strict=True):
                if text is not None and (writer := Writer.from_json(text)) is not None:
                    known[lane] = writer
        return known

    def _silent(self, study_id: int, lanes: list[int]) -> set[int]:
        """Those of the lanes whose last beat has been the same for as long as a lease, while this process watched."""
        if not lanes:
            return set()
        key = self._keys(study_id).beats
        now = time.monotonic()
        silent = set()
        with self._lock:
            beats = self._server.call(
                key, "HMGET", key, *(f"w{lane}" for lane in lanes), expect=is_texts_or_none
            )
        for lane, beat in zip(lanes, beats, strict=True):
            last, since = self._heard.get((study_id, lane), (b"", now))
            if beat != last:
                self._heard[study_id, lane] = (beat, now)
            elif now - since >= LEASE_SECONDS:
                silent.add(lane)
        return silent

    def _say(self, study_id: int, writer: Writer) -> None:
        keys, lane = self._keys(study_id), self._lanes[study_id]
        said: list[str | int] = [f"w{lane}", lane, writer.to_json()]
        with self._lock:
            self._server.eval(BEAT, (keys.head, keys.beats, keys.writers), said)

    def _keys(self, study_id: int) -> StudyKeys:
        return StudyKeys(prefix=self._server.prefix, study_id=study_id)
