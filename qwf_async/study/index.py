"""The index of studies: which there are, by name; how one begins, and how it ends."""

from __future__ import annotations

from datetime import datetime

from optuna.exceptions import DuplicatedStudyError

from ..catalog.keys import check_name
from . import entry
from .fitness import refuse_eviction
from .keys import study_names_key
from .link import Server
from .live_study import LiveStudy
from .replica import Replica
from .scripts import FORGET
from .server_log import ServerLog


class StudyIndex:
    """The studies of a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._key = study_names_key(server.prefix)

    def studies(self) -> dict[str, int]:
        """Ids by name."""
        pairs = self._server.call(self._key, "HGETALL", self._key)
        if isinstance(pairs, list):
            pairs = dict(zip(pairs[::2], pairs[1::2], strict=True))
        return {name.decode(): int(study_id) for name, study_id in pairs.items()}

    def study_id(self, name: str) -> int:
        """The id of a study. Raises KeyError if there is none of that name."""
        found = self._server.call(self._key, "HGET", self._key, name)
        if found is None or not ServerLog(self._server, int(found)).exists():
            raise KeyError(f"no study with the name {name!r} at {self._server.shown}")
        return int(found)

    def has(self, name: str) -> bool:
        """Whether there is a study of that name. A name whose study is gone is taken out of the index."""
        found = self._server.call(self._key, "HGET", self._key, name)
        if found is None:
            return False
        if ServerLog(self._server, int(found)).exists():
            return True
        self._forget(name, int(found))  # the process that removed the study ended before it could
        return False

    def create(self, name: str, directions: list[int]) -> LiveStudy:
        """A new study. Raises DuplicatedStudyError if there is one of that name, InvalidInput if it is no name.

        Raises OutOfMemory if the server would evict it.

        The study is there before its name is, so whoever finds the name finds the study.
        """
        if name:
            check_name(name, "name of a study")
        if self.has(name):
            raise self._duplicated(name)
        refuse_eviction(self._server)
        first = {"name": name, "directions": directions, "created": datetime.now().isoformat()}
        study = None
        while study is None:
            log = ServerLog(self._server, entry.new_study_id())
            study = LiveStudy.create(log, first)
        if not self._enter(name, study.study_id):
            log.remove()
            raise self._duplicated(name)
        return study

    def open(self, study_id: int) -> LiveStudy:
        """A study by its id. Raises KeyError if there is none."""
        return LiveStudy.open(ServerLog(self._server, study_id))

    def glance(self, study_id: int) -> Replica:
        """A study by its id, with all but its trials. Raises KeyError if there is none."""
        return ServerLog(self._server, study_id).read(0, with_finished=False)[0]

    def remove(self, name: str, study_id: int) -> None:
        """Remove a study with all that it holds. Raises KeyError if there is none."""
        if not ServerLog(self._server, study_id).remove():
            raise KeyError(f"no study with id {study_id} at {self._server.shown}")
        self._forget(name, study_id)

    def _forget(self, name: str, study_id: int) -> None:
        """Take a name out of the index, if it is that of this study."""
        self._server.eval(FORGET, (self._key,), [name, study_id])

    def _enter(self, name: str, study_id: int) -> bool:
        """Give a name to a study. Returns whether it has it: not if another was first."""
        self._server.call(self._key, "HSETNX", self._key, name, study_id)
        return int(self._server.call(self._key, "HGET", self._key, name) or 0) == study_id

    def _duplicated(self, name: str) -> DuplicatedStudyError:
        return DuplicatedStudyError(
            f"there is a study with the name {name!r} at {self._server.shown} already: "
            "load it, with load_if_exists=True for example, or choose another name"
        )
