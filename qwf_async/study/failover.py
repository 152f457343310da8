"""A thread of each storage that looks after outages: it brings the host's entries to the server when that is back.

While the server is there, the thread of one process of the host copies the logs into the host's files.
"""

from __future__ import annotations

import logging
import threading
import weakref
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final

from ..client.reply import is_number
from ..errors import QwfError, ServerUnavailable
from .copying import copy_news
from .keys import StudyKeys
from .link import Server
from .live_study import LiveStudy
from .server_log import ServerLog, StudyRemoved

AWAY_SECONDS: Final = 0.1
"""Between two looks for a server that is away."""

COPY_SECONDS: Final = 0.2
"""Between two looks of the process that copies, so this is what a copy lacks."""

IDLE_SECONDS: Final = 0.5
"""Between two looks of the others, whether that process is still there."""

STUCK_SECONDS: Final = 3.0
"""For so long one process of the host alone looks for the server; if it seems to stand still, the others look too."""

logger = logging.getLogger(__name__)


class LookedAfter:
    """What the thread asks of its storage."""

    _lock: AbstractContextManager[Any]

    @abstractmethod
    def open_studies(self) -> Sequence[LiveStudy]:
        """The studies that this process has open and writes to."""


class Failover:
    """The thread. It begins with the first study that the storage writes to, and holds the storage by no reference."""

    def __init__(self, storage: LookedAfter, server: Server) -> None:
        self._storage = weakref.ref(storage)
        self._server = server.another()
        self._wake = threading.Event()
        self._is_over = False
        self._said = ""
        self._thread: threading.Thread | None = None
        self._copying = threading.Lock()
        self._removed: set[int] = set()

    def begin(self) -> None:
        """Begin, unless that was done."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="qwf-study-failover", daemon=True)
            self._thread.start()

    def leave(self) -> None:
        """Stop, after a last look: a command of a moment leaves a copy, too, with which the next one can go on."""
        self._is_over = True
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._copy_last()
        self._server.close()

    @contextmanager
    def without(self, study_id: int) -> Iterator[None]:
        """Within this no log is copied, and that of the study not afterwards, either: its files are removed here."""
        with self._copying:
            self._removed.add(study_id)
            try:
                yield
            except BaseException:
                self._removed.discard(study_id)
                raise

    def _copy_last(self) -> None:
        storage = self._storage()
        with suppress(QwfError, KeyError):
            for study in () if storage is None else storage.open_studies():
                if study.away is None:
                    self._copy(study)

    def _run(self) -> None:
        pause = COPY_SECONDS
        while not self._wake.wait(pause) and not self._is_over:
            storage = self._storage()
            if storage is None:
                break
            pauses = [self._look_after(storage, study) for study in storage.open_studies()]
            pause = min(pauses, default=IDLE_SECONDS)
            del storage
        self._server.close()

    def _look_after(self, storage: LookedAfter, study: LiveStudy) -> float:
        """Do for a study what is to be done now. Returns the seconds until the next look."""
        try:
            if study.away is None:
                return self._copy(study)
            self._look_for_server(storage, study)
        except ServerUnavailable as error:
            logger.debug("study %d: %s", study.study_id, error)
        except (QwfError, KeyError) as error:
            if str(error) != self._said:  # once, however long it lasts
                logger.warning("study %s: %s", study.known.name, error)
                self._said = str(error)
            return IDLE_SECONDS
        return AWAY_SECONDS

    def _copy(self, study: LiveStudy) -> float:
        with self._copying:
            if study.study_id in self._removed or not study.keeps_copy or not study.file.copy.lock.take():
                return IDLE_SECONDS
            copy_news(ServerLog(self._server, study.study_id), study.file)
        return COPY_SECONDS

    def _look_for_server(self, storage: LookedAfter, study: LiveStudy) -> None:
        """Bring all to the server if it is back, or go back to it if another process did."""
        file, away = study.file, study.away
        if away is None or file.episode() != away.episode:
            with storage._lock:
                study.refresh()
            file.merging.close()
            return
        if file.merging.take():
            file.merging.touch()
        elif file.merging.age() < STUCK_SECONDS:
            return
        key = StudyKeys(prefix=self._server.prefix, study_id=study.study_id).head
        self._server.call(key, "EXISTS", key, expect=is_number)
        with storage._lock:
            if study.away is away:
                try:
                    study.merge()
                except StudyRemoved:
                    study.give_up()
                    raise
        file.merging.close()
