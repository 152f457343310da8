"""What jobs of this host wrote while the server was away is brought there by whoever asks for it.

Jobs do that by themselves. This is for what the last of them left, because they ended first.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Final

from ..errors import DataLost, ReplayOwed, ServerUnavailable
from .host_file import HostFile
from .host_studies import HostStudies
from .open_studies import OpenStudies
from .status import ReportingStorage

AGAIN_SECONDS: Final = 0.1
"""Between two looks for a server that is away."""


class BringingStorage(ReportingStorage):
    """A storage that has files of studies on this host."""

    _host: HostStudies
    _studies: OpenStudies

    def sync(self, timeout: float = 30.0) -> dict[str, int]:
        """Bring to the server what the studies of this host have, and it has not: name of a study → entries.

        Waits for a server that is away, `timeout` seconds at most, and then raises ReplayOwed: all of it stays
        in the files of this host. A study that was removed meanwhile is dropped, with what waits for it. Raises
        as the link and the files.
        """
        end = time.monotonic() + timeout
        brought: dict[str, int] = {}
        for file in self._waiting():
            entries = file.pending()
            while not self._is_brought(file, is_last=time.monotonic() + AGAIN_SECONDS >= end):
                time.sleep(AGAIN_SECONDS)
            brought[file.identity.name] = entries
        return brought

    def give_back(self) -> None:
        """Bring back the studies that the embedded server lost as it was killed. Other hosts have none there."""
        if self._server.place.data_dir is None:
            return
        with self._lock, suppress(ServerUnavailable):
            for study_id in {*self._host.ids()} - {*self._index.studies().values()}:
                file = self._host.existing(study_id)
                with suppress(KeyError, DataLost):
                    self._index.study_id("" if file is None else file.identity.name)

    def get_storage_status(self) -> dict[str, Any]:
        """As that of ReportingStorage, and besides: `pending_entries` wait in files of this host, of which
        `overlay_path` is one. Those of jobs that have ended are among them. `mode` is offline if the server
        gives no answer.
        """
        facts = super().get_storage_status()
        waiting = self._waiting()
        mode = "offline" if facts["mode"] == "online" and facts["latency_ms"] is None else facts["mode"]
        return facts | {
            "mode": mode,
            "pending_entries": sum(file.pending() for file in waiting),
            "overlay_path": str(waiting[0].path) if waiting else facts["overlay_path"],
        }

    def _waiting(self) -> list[HostFile]:
        """The files that have something which the server has not."""
        with self._lock:
            files = [self._host.existing(study_id) for study_id in self._host.ids()]
            return [file for file in files if file is not None and file.episode() is not None]

    def _is_brought(self, file: HostFile, *, is_last: bool) -> bool:
        """Bring what a file has to the server; whether that is there. Raises ReplayOwed if not, at the last attempt."""
        try:
            with self._lock, suppress(KeyError):  # it was removed, and its file with it
                self._studies.fresh(file.identity.study_id).merge()
        except ServerUnavailable as error:
            if is_last:
                entries = sum(one.pending() for one in self._waiting())
                raise ReplayOwed(f"{error}; {entries} entries wait for it in {file.path.parent}") from error
            return False
        return True
