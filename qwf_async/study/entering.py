"""How a process enters a study: from the server, or while that is away from the file of its host.

If the host has more of the study than the server, the server gets it back first.
"""

from __future__ import annotations

from ..errors import ServerUnavailable
from . import entry
from .bringing_back import read_whole
from .copying import read_copy
from .host_studies import HostStudies
from .live_study import LiveStudy
from .server_log import ServerLog, StudyRemoved
from .standing import Standing


def enter(log: ServerLog, host: HostStudies, standing: Standing) -> LiveStudy:
    """The study as it is now.

    Raises KeyError if there is none, DataLost if the server lost it and this host kept no copy, ServerUnavailable
    if the server is away and this host has no copy.
    """
    try:
        return _enter(log, entry.new_lane(), host, standing)
    except StudyRemoved:
        host.remove(log.study_id)
        raise


def _enter(log: ServerLog, lane: int, host: HostStudies, standing: Standing) -> LiveStudy:
    file = host.existing(log.study_id)
    if file is None:
        return LiveStudy(log, *log.read(lane), host, standing)
    try:
        replica, base = read_whole(log, lane, file)
    except ServerUnavailable:
        known = read_copy(file, lane)
        if known is None:
            raise
        study = LiveStudy(log, known, 0, host, standing)
        study.go_away()
        return study
    study = LiveStudy(log, replica, base, host, standing)
    file.touch()
    if file.episode() is not None:
        study.go_away()
    return study
