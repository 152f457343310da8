"""What a storage says of itself, its server and its studies; an outage is part of the answer, no error."""

from __future__ import annotations

import statistics
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Final

from ..client.reply import is_text
from ..errors import Refused, ServerUnavailable
from ..server.weakest import weakest
from .attendance import LEASE_SECONDS, AttendedStorage
from .fitness import learn
from .index import StudyIndex
from .keys import StudyKeys, study_names_key
from .link import Server
from .standing import Standing
from .writer import Writer

_PINGS: Final = 3


class ReportingStorage(AttendedStorage):
    """A storage that says how it is. `standing` is kept by whoever notices outages."""

    standing: Standing
    _server: Server
    _index: StudyIndex
    _lock: AbstractContextManager[Any]

    @abstractmethod
    def count_states(self, study_id: int) -> Counter[str]:
        """The trials of a study by state. Raises KeyError if there is none."""

    @property
    def started(self) -> Path | None:
        """The data directory of the embedded server, if it was started for this storage; None otherwise."""
        return self._server.place.data_dir if self._server.place.started else None

    def get_storage_status(self) -> dict[str, Any]:
        """How this storage is: nothing is raised because the server is away.

        `mode` is online, offline or merging, `since` when; `server` is its URL without the password;
        `latency_ms` that of a round trip; `durability` memory, rdb or aof, as the server's settings say;
        `overlay_path` is the file that was written last without it; `failovers`, `recoveries`, `retries` and
        `merged` entries are those of this process; `longest_stall_s` is the longest that a call waited
        for the server; `workers_alive` are the processes that write to studies there. What only the
        server knows is None while it is away, or if it does not tell.
        """
        server, standing = self._server, self.standing
        latency = durability = alive = None
        with self._lock, suppress(ServerUnavailable):
            latency = _latency(server)
            with suppress(Refused):
                durability = weakest(learn(server))
            alive = workers_alive(server, self._index.studies().values())
        return {
            "mode": standing.mode,
            "since": standing.since.isoformat(timespec="seconds"),
            "server": server.shown,
            "latency_ms": latency,
            "durability": durability,
            "overlay_path": None if standing.overlay_path is None else str(standing.overlay_path),
            "failovers": standing.failovers,
            "recoveries": standing.recoveries,
            "retries": server.retries,
            "merged": standing.merged,
            "longest_stall_s": round(server.longest, 3),
            "workers_alive": alive,
        }

    def get_storage_info(self) -> dict[str, Any]:
        """The status, and besides: `studies`, their `trials` by state, the `bytes` that they take on the server.

        `connections` were opened by this process, and `connections_lost`; so many percent of the attempts
        succeeded, and so many percent of all requests found a connection open. Reads all studies, which
        takes 1 s for 100,000 trials. What only the server knows is None while it is away.
        """
        facts = self.get_storage_status() | {"studies": None, "trials": None, "bytes": None}
        with self._lock, suppress(ServerUnavailable):
            ids, trials = list(self._index.studies().values()), Counter[str]()
            for study_id in ids:
                with suppress(KeyError):  # it was removed meanwhile
                    trials.update(self.count_states(study_id))
            size = sum(_bytes(self._server, study_id) for study_id in ids)
            facts |= {"studies": len(ids), "trials": dict(sorted(trials.items())), "bytes": size}
        counts = self._server.counts
        return facts | {
            "connections": counts.opened,
            "connections_lost": counts.lost + counts.timeouts,
            "connections_succeeded_percent": _percent(counts.success),
            "connections_reused_percent": _percent(counts.reuse),
        }


def workers_alive(server: Server, studies: Iterable[int]) -> int:
    """Processes that write to these studies and live, as far as their host or the server's clock tells."""
    alive = set()
    for study_id in studies:
        keys = StudyKeys(prefix=server.prefix, study_id=study_id)
        writers, beats, now = server.pipeline([("HGETALL", keys.writers), ("HGETALL", keys.beats), ("TIME",)])
        heard = dict(zip(beats[::2], beats[1::2], strict=True))
        for lane, text in zip(writers[::2], writers[1::2], strict=True):
            writer, beat = Writer.from_json(text), int(heard.get(b"w" + lane, 0))
            if writer is None or writer.has_left or writer.is_dead_here:
                continue
            if writer.is_of_this_host or beat >= 1000 * (int(now[0]) - LEASE_SECONDS):
                alive.add((writer.host, writer.boot, writer.pid, writer.started))
    return len(alive)


def _latency(server: Server) -> float:
    """The median time of a few round trips, in ms."""
    key, times = study_names_key(server.prefix), []
    for _ in range(_PINGS):
        begun = time.perf_counter()
        server.call(key, "PING", expect=is_text)
        times.append(1000 * (time.perf_counter() - begun))
    return round(statistics.median(times), 3)


def _bytes(server: Server, study_id: int) -> int:
    """What a study takes in the memory of the server, as it estimates it."""
    stored = StudyKeys(prefix=server.prefix, study_id=study_id).stored
    sizes = server.pipeline([("MEMORY", "USAGE", key) for key in stored])
    return sum(size or 0 for size in sizes)


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 4)
