"""One process of the host copies the log of a study into the host's file, a fifth of a second behind.

While an episode is open nothing is copied, so that the copy and the overlay together have all that
the jobs of the host know. What ends the episode brings the copy forward.
"""

from __future__ import annotations

from .compaction import TrimmedAway, compacted, restore
from .healing import heal
from .host_file import HostFile
from .replica import Replica
from .scripts import PAGE
from .server_log import Compacted, Forked, ServerLog


def copy_news(log: ServerLog, file: HostFile) -> None:
    """Copy what is new in the log. For the process that holds the lock of the copy.

    A server that came back older or empty gets back first what the copy has. Raises as the link, the log and the file.
    """
    if file.episode() is not None:
        return
    end, tail = file.copy.end()
    if not end:
        copy_anew(log, file)
        return
    try:
        news = log.step(end, tail)
    except Compacted:
        copy_anew(log, file)
    except Forked:
        give_back(log, file)
    else:
        if news.entries:
            with file.writing():
                if file.episode() is None:
                    file.copy.extend(end, news.entries)
            file.copy.note()


def give_back(log: ServerLog, file: HostFile) -> None:
    """Bring to the server what the copy has and it lacks. Raises StudyRemoved if the study was removed on purpose."""
    known = read_copy(file, 0)
    if known is not None:
        heal(log, known)
        copy_anew(log, file)


def copy_anew(log: ServerLog, file: HostFile, *, in_episode: bool = False) -> None:
    """Copy the whole log, in place of what was copied. Not while an episode is open, unless `in_episode`."""
    while True:
        try:
            base, done = log.read_trimmed()
            news = log.step(base.position, base.tail)
            raws = list(news.entries)
            while base.position + len(raws) < news.total:
                news = log.step(base.position + len(raws), raws[-1])
                raws += news.entries
            break
        except (Forked, Compacted):
            continue  # it was changed between two pages
    with file.writing():
        if in_episode or file.episode() is None:
            file.copy.begin(base, done)
            file.copy.extend(base.position, raws)
    file.copy.note()


def copy_known(file: HostFile, known: Replica) -> None:
    """Copy what a process knows, where nothing was copied yet. Within `HostFile.writing`."""
    live, done = compacted(known, 0)
    file.copy.begin(TrimmedAway(known.position, known.tail, live), done)


def extend_copy(file: HostFile, known: Replica) -> None:
    """Bring the copy forward to what is known, if it is a copy of the same log. Within `HostFile.writing`."""
    end, tail = file.copy.end()
    behind = known.position - end
    at = len(known.recent) - behind
    if end and behind > 0 and at > 0 and known.recent[at - 1] == tail:
        file.copy.extend(end, known.recent[at:])


def read_copy(file: HostFile, lane: int) -> Replica | None:
    """The study as the copy has it, for a process that writes by `lane`. None if there is no copy."""
    base = file.copy.base()
    if base is None:
        return None
    replica = Replica(lane)
    done: list[bytes] = []
    last = 0
    while page := file.copy.read_base(last, PAGE):
        done += [raw for _, raw in page]
        last = page[-1][0]
    restore(replica, base, done)
    while raws := file.copy.read(replica.position, PAGE):
        replica.apply(raws)
    return replica if replica.position else None
