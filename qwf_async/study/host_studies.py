"""The files that this host has of studies of one server, as one storage has them open."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataLost
from .host_directory import StudyIdentity, files_on_host
from .host_file import HostFile


class HostStudies:
    """The files in a directory. `keep_copy`: whether the log of each study is copied into its file.

    `server` is `Address.identity`. Raises what `HostFile.open` and `HostFile.existing` raise.
    """

    def __init__(self, directory: Path, *, server: str, prefix: str, keep_copy: bool = True) -> None:
        self.directory = directory
        self.keep_copy = keep_copy
        self._server = server
        self._prefix = prefix
        self._files: dict[int, HostFile] = {}

    def file(self, study_id: int, name: str) -> HostFile:
        """The file of a study, made if there is none."""
        file = self._files.get(study_id)
        if file is None:
            identity = StudyIdentity(server=self._server, prefix=self._prefix, study_id=study_id, name=name)
            file = self._files[study_id] = HostFile.open(self.directory, identity)
        return file

    def is_open(self, study_id: int) -> bool:
        """Whether the file of a study is open here."""
        return study_id in self._files

    def existing(self, study_id: int) -> HostFile | None:
        """The file of a study, if there is one."""
        return self._files.get(study_id) or self._first(study_id=study_id)

    def named(self, name: str) -> HostFile | None:
        """The file of the study of a name; of several that which was opened last. None if there is none."""
        return self._first(name=name)

    def ids(self) -> list[int]:
        """Ids of all studies that the host has."""
        return [int(path.name.partition("-")[0]) for path in self._paths()]

    def remove(self, study_id: int) -> None:
        """Remove the file of a study, if there is one."""
        file = self.existing(study_id)
        if file is not None:
            file.remove()
            self._files.pop(study_id, None)

    def close(self) -> None:
        """Close all files."""
        while self._files:
            self._files.popitem()[1].close()

    def _paths(self, study_id: int | None = None, name: str | None = None) -> list[Path]:
        return files_on_host(
            self.directory, server=self._server, prefix=self._prefix, study_id=study_id, name=name
        )

    def _first(self, *, study_id: int | None = None, name: str | None = None) -> HostFile | None:
        for path in self._paths(study_id, name):
            file = HostFile.existing(path)
            return self._files.setdefault(file.identity.study_id, file)
        return None


def lost(file: HostFile) -> DataLost | None:
    """What to say of a study that the server lost, of which the file has no copy. None if nothing was in it."""
    trials = file.shown.count()
    if not trials and not file.pending():
        return None
    name = file.identity.name
    return DataLost(
        f"the server lost the study {name!r}: of its trials, {trials} that this host made are gone, as no copy "
        f"was kept here; to begin anew, remove {file.path} and the files beside it"
    )
