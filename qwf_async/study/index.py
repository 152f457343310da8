"""The index of studies: which there are, by name; how one begins, and how it ends."""

from __future__ import annotations

from datetime import datetime

from optuna.exceptions import DuplicatedStudyError

from ..catalog.keys import check_name
from ..client.reply import is_number, is_pairs, is_text_or_none
from ..errors import DamagedData, ServerUnavailable
from ..wording import quoted
from . import entry
from .bringing_back import bring_back
from .fitness import refuse_eviction
from .host_file import HostFile
from .host_studies import HostStudies
from .keys import study_names_key
from .link import Server
from .replica import Replica
from .scripts import FORGET
from .server_log import ServerLog, Written


class StudyIndex:
    """The studies of a server. With `host`, also those that this host can bring back, or go on with alone."""

    def __init__(self, server: Server, host: HostStudies | None = None) -> None:
        self._server = server
        self._host = host
        self._key = study_names_key(server.prefix)

    def studies(self) -> dict[str, int]:
        """Ids by name. Raises ServerUnavailable if the server is away."""
        pairs = self._server.call(self._key, "HGETALL", self._key, expect=is_pairs)
        found = dict(zip(pairs[::2], pairs[1::2], strict=True))
        return {name.decode(errors="replace"): self._id(name, study_id) for name, study_id in found.items()}

    def study_id(self, name: str) -> int:
        """The id of a study. Raises KeyError if there is none of that name.

        One that the server lost is brought back from the file of this host. Raises DataLost if that cannot be.
        """
        try:
            found = self._found(name)
        except ServerUnavailable as error:
            if (file := self._on_host(name)) is None:
                raise error.with_more(
                    f"; this host has no copy of the study {name!r}, with which it could go on"
                ) from error
            return file.identity.study_id
        if found is None:
            raise KeyError(f"no study with the name {name!r} at {self._server.shown}")
        return found

    def has(self, name: str) -> bool:
        """Whether there is a study of that name. A name whose study is gone is taken out of the index."""
        return self._found(name) is not None

    def create(self, name: str, directions: list[int]) -> ServerLog:
        """A new study. Raises DuplicatedStudyError if there is one of that name, InvalidInput if it is no name.

        Raises OutOfMemory if the server would evict it.

        The study is there before its name is, so whoever finds the name finds the study.
        """
        if name:
            check_name(name, "name of a study")
        try:
            found = self._found(name)
        except ServerUnavailable as error:
            if self._on_host(name) is not None:
                raise self._duplicated(name) from error
            raise error.with_more("; a study can only be made while the server is there") from error
        if found is not None:
            raise self._duplicated(name)
        refuse_eviction(self._server)
        first = {"name": name, "directions": directions, "created": datetime.now().isoformat()}
        lane = entry.new_lane()
        written = Written(lane, 1, entry.entry(entry.STUDY, 0, lane, 1, first))
        while not (log := self.log(entry.new_study_id())).create(written):
            pass
        if not self._enter(name, log.study_id):
            log.remove()
            raise self._duplicated(name)
        return log

    def log(self, study_id: int) -> ServerLog:
        """The log of a study."""
        return ServerLog(self._server, study_id)

    def glance(self, study_id: int) -> Replica:
        """A study by its id, with all but its trials. Raises KeyError if there is none."""
        return self.log(study_id).read(0, with_finished=False)[0]

    def remove(self, name: str, study_id: int) -> None:
        """Remove a study with all that it holds. Raises KeyError if there is none."""
        if not ServerLog(self._server, study_id).remove():
            raise KeyError(f"no study with id {study_id} at {self._server.shown}")
        self._forget(name, study_id)
        if self._host:
            self._host.remove(study_id)

    def _found(self, name: str) -> int | None:
        """The id of the study of a name, if it is there, or this host can bring it back."""
        found = self._server.call(self._key, "HGET", self._key, name, expect=is_text_or_none)
        if found is not None:
            study_id = self._id(name, found)
            if ServerLog(self._server, study_id).exists():
                return study_id
            self._forget(name, study_id)  # the process that removed the study ended before it could
        file = self._on_host(name)
        if file is None:
            return None
        study_id = file.identity.study_id
        if bring_back(ServerLog(self._server, study_id), file):
            return study_id
        file.remove()
        return None

    def _on_host(self, name: str) -> HostFile | None:
        return self._host.named(name) if self._host else None

    def _forget(self, name: str, study_id: int) -> None:
        """Take a name out of the index, if it is that of this study."""
        self._server.eval(FORGET, (self._key,), [name, study_id])

    def _enter(self, name: str, study_id: int) -> bool:
        """Give a name to a study. Returns whether it has it: not if another was first."""
        self._server.call(self._key, "HSETNX", self._key, name, study_id, expect=is_number)
        return (
            self._id(
                name, self._server.call(self._key, "HGET", self._key, name, expect=is_text_or_none) or b"0"
            )
            == study_id
        )

    def _id(self, name: str | bytes, found: bytes) -> int:
        """The id that the index has for a name. Raises DamagedData if it is none."""
        try:
            return int(found)
        except ValueError:
            raise DamagedData(
                f"the index of studies {self._key.decode()} at {self._server.shown} has no id for {quoted(name)}, but "
                f"{quoted(found.decode(errors='replace'))}"
            ) from None

    def _duplicated(self, name: str) -> DuplicatedStudyError:
        return DuplicatedStudyError(
            f"there is a study with the name {name!r} at {self._server.shown} already: "
            "load it, with load_if_exists=True for example, or choose another name"
        )
