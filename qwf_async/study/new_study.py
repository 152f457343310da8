"""Studies that appear on a server whole or not at all.

They are written in the form that compaction gives them, under new ids. Until the names are entered,
nobody finds them; what a process leaves that dies before vanishes by itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from optuna.study import StudyDirection
from optuna.trial import TrialState

from ..client.reply import is_number
from ..errors import DataLost, QwfError, Refused
from . import entry
from .compaction import rest_of, whole_entry
from .fitness import refuse_eviction
from .keys import FORMAT, StudyKeys, study_names_key
from .link import Server
from .scripts import FILL, FINISH, FORGET, NAME
from .writer import Writer

if TYPE_CHECKING:
    from .storage import StudyStorage

BATCH_BYTES: Final = 256 * 1024
"""Trials that are sent together."""

PATIENCE: Final = 5.0
"""Seconds that the server has for each batch."""

_SECONDS: Final = 3600
"""After so long what a dead process left vanishes."""


class NewStudy:
    """A study that is written to a server, trial by trial in the order of their numbers."""

    def __init__(self, server: Server, name: str, directions: Sequence[StudyDirection]) -> None:
        self.name = name
        self.lane = entry.new_lane()
        self.study_id = entry.new_study_id()
        self.server = server
        self._keys = StudyKeys(prefix=server.prefix, study_id=self.study_id)
        self._entries = 0
        self._study: list[bytes] = []
        self._unfinished: list[bytes] = []
        self._batch: list[bytes] = []
        self._batch_bytes = self._done = 0
        self._has_running = False
        created = datetime.now().isoformat()
        self._add(entry.STUDY, {"name": name, "directions": list(map(int, directions)), "created": created})

    def set_attributes(self, user: Mapping[str, Any], system: Mapping[str, Any]) -> None:
        """Set attributes of the study. Raises TypeError if a value is no JSON."""
        for kind, attributes in ((entry.STUDY_USER_ATTRIBUTE, user), (entry.STUDY_SYSTEM_ATTRIBUTE, system)):
            for name, value in attributes.items():
                self._add(kind, name, value)

    def next_id(self) -> int:
        """An id for the next trial."""
        return entry.trial_id_of(self.lane, self._done + len(self._batch) + len(self._unfinished) + 1)

    def add(self, trial_id: int, record: Sequence[Any]) -> None:
        """Add a trial: its record (`whole_trial.record_of`) with its number. Raises TypeError if it holds no JSON."""
        self._entries += 1
        state = TrialState(record[1])
        if state is TrialState.RUNNING:
            record = [*record[:-1], self.lane]
            self._has_running = True
        raw = whole_entry(trial_id, record)
        if not state.is_finished():
            self._unfinished.append(raw)
            return
        self._batch.append(raw)
        self._batch_bytes += len(raw)
        if self._batch_bytes >= BATCH_BYTES:
            self._send()

    def finish(self, *, goes_on: bool) -> None:
        """Make what was written a study, which has no name yet.

        Its running trials are those of this process; with `goes_on` nobody takes them for dead when it ends.
        """
        self._send()
        writer = Writer.here(secrets.token_hex(8), has_left=goes_on).to_json() if self._has_running else ""
        rest = rest_of(self._study, self._unfinished)
        keys = (self._keys.head, self._keys.log, self._keys.seq, self._keys.done, self._keys.writers)
        arguments: list[bytes | str | int] = [
            FORMAT,
            self._done,
            self._entries,
            self._study[0],
            rest,
            self.lane,
            writer,
        ]
        if not self.server.eval(FINISH, keys, arguments):
            raise self._lost()

    def remove(self) -> None:
        """Remove all of it. It was never seen, so no mark stays."""
        names = study_names_key(self.server.prefix)
        self.server.eval(FORGET, (names,), [self.name, self.study_id])  # perhaps only the reply was lost
        self.server.call(self._keys.head, "UNLINK", *self._keys.stored, expect=is_number)

    def _add(self, kind: int, *rest: Any) -> None:
        self._entries += 1
        self._study.append(entry.entry(kind, 0, self.lane, self._entries, *rest))

    def _send(self) -> None:
        if self._batch:
            there = self.server.eval(FILL, (self._keys.done,), [self._done, _SECONDS, *self._batch])
            self._done += len(self._batch)
            self._batch, self._batch_bytes = [], 0
            if there != self._done:
                raise self._lost()

    def _lost(self) -> DataLost:
        return DataLost(
            f"{self.server.shown} lost a part of the study {self.name} while it was written: try again"
        )


@contextmanager
def patient_server(storage: StudyStorage) -> Iterator[Server]:
    """The server of a storage itself, whether or not the storage goes on without it, with seconds for each reply."""
    server = Server(storage.place, after=PATIENCE)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def new_studies(server: Server) -> Iterator[list[NewStudy]]:
    """Studies to be appended to the list and finished, which get their names together when it is left.

    After an error none of them is there. Raises Refused if a name is taken, and OutOfMemory if the server
    evicts keys.
    """
    studies: list[NewStudy] = []
    refuse_eviction(server)
    try:
        yield studies
        _enter_names(studies, server)
    except BaseException:
        for study in studies:
            with suppress(QwfError):
                study.remove()
        raise


def _enter_names(studies: Sequence[NewStudy], server: Server) -> None:
    pairs = [part for study in studies for part in (study.name, study.study_id)]
    taken = server.eval(NAME, (study_names_key(server.prefix),), pairs) if pairs else None
    if taken is not None:
        raise name_taken(taken.decode(), server)


def name_taken(name: str, server: Server) -> Refused:
    """The error of a study whose name another has."""
    return Refused(
        f"there is a study {name!r} at {server.shown} already: choose another name, or remove that one"
    )
