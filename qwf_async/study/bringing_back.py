"""A study that the server lost, in part or whole, gets back what this host has of it."""

from __future__ import annotations

from .copying import give_back
from .host_file import HostFile
from .host_studies import lost
from .replica import Replica
from .server_log import ServerLog, StudyRemoved


def bring_back(log: ServerLog, file: HostFile) -> bool:
    """Bring a study back that the server lost. Returns False if there is nothing of it, or it was removed on purpose.

    Raises DataLost if there was something, of which this host kept no copy.
    """
    try:
        read_whole(log, 0, file)
    except KeyError:
        return False
    return True


def read_whole(log: ServerLog, lane: int, file: HostFile) -> tuple[Replica, int]:
    """The study as the server has it, after that got back what it lacks."""
    try:
        replica, base = log.read(lane)
    except StudyRemoved:
        raise
    except KeyError:
        if file.copy.base() is None:
            error = lost(file)
            if error is not None:
                raise error from None
            raise
    else:
        end, tail = file.copy.end()
        if not end or _has(replica, base, end, tail):
            return replica, base
    give_back(log, file)
    return log.read(lane)


def _has(replica: Replica, base: int, position: int, tail: bytes) -> bool:
    """Whether `tail` is the entry at a position of the log. What was trimmed away is taken to be the same."""
    return position <= base or (position <= replica.position and replica.recent[position - base - 1] == tail)
