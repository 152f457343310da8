"""A server that came back older or empty gets back what a process still knows.

The log is read anew and compared trial by trial with what the process had. What is missing is appended:
finished trials whole, then the entries of all that is unfinished, each in the order of its lane. To
do so twice, or from several processes at once, changes nothing more.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from optuna.trial import TrialState

from ..client.reply import is_number, is_text_or_none
from . import entry
from .keys import study_names_key
from .replica import Replica
from .scripts import LOCK, UNLOCK
from .server_log import Compacted, Forked, ServerLog, StudyRemoved, Written
from .settling import settled_numbers
from .trial_record import TrialRecord

_LOCK_MS: Final = 5_000
"""For so long at most one process heals alone; then others help, which does no harm."""

_BATCH: Final = 500

logger = logging.getLogger(__name__)


def heal(log: ServerLog, known: Replica) -> tuple[Replica, int]:
    """Bring to the server what `known` has and it lacks. Returns the study as it is then, as `ServerLog.read` does.

    Raises StudyRemoved if the study was removed on purpose, and what the link raises.
    """
    with _locked(log):
        while True:
            try:
                return _healed(log, known)
            except (Forked, Compacted):
                continue  # it was changed by another meanwhile


def _healed(log: ServerLog, known: Replica) -> tuple[Replica, int]:
    lane = entry.new_lane()
    try:
        replica, base = log.read(known.lane)
    except StudyRemoved:
        raise
    except KeyError:
        log.create(Written(lane, 1, known.study_entries[entry.STUDY, ""]))
        replica, base = log.read(known.lane)
    _enter_name(log, known.name)
    writes = _missing_trials(known, replica, lane, begin=2) + _unfinished(known)
    base = _push(log, replica, writes, base)
    wanted = {trial_id: _shown(record) for trial_id, record in known.records.items()}
    present = {trial_id: replica.records[trial_id].number for trial_id in wanted}
    if numbers := settled_numbers(wanted, present):
        lane = entry.new_lane()
        raw = entry.entry(entry.NUMBERS, 0, lane, 1, numbers)
        base = _push(log, replica, [Written(lane, 1, raw)], base)
    return replica, base


def _missing_trials(known: Replica, there: Replica, lane: int, begin: int) -> list[Written]:
    """Each trial that is not there, or less finished there, as a whole."""
    writes: list[Written] = []
    for record in known.in_order():
        found = there.records.get(record.trial_id)
        if found is None or (record.is_final and not found.is_final):
            sequence = begin + len(writes)
            raw = entry.entry(entry.WHOLE, record.trial_id, lane, sequence, *_whole(record))
            writes.append(Written(lane, sequence, raw))
    return writes


def _shown(record: TrialRecord) -> int:
    """The number that a trial was shown with, as far as is known."""
    return record.number if record.noted_as is None else record.noted_as


def _whole(record: TrialRecord) -> tuple[object, ...]:
    """A trial as one record. One whose owner is only taken for dead runs."""
    whole = list(record.whole())
    if record.is_provisional:
        whole[1], whole[4] = int(TrialState.RUNNING), None
    return tuple(whole)


def _unfinished(known: Replica) -> list[Written]:
    """The entries of the study's attributes and of trials that are not finished, each lane in its order.

    The server takes those that it lacks: an entry of a lane that it knows to be further is there.
    """
    raws = list(known.study_entries.values())
    for record in known.records.values():
        if not record.is_final:
            raws += record.raws
    writes = [Written(*entry.writer_of(raw), raw) for raw in raws]
    return sorted(write for write in writes if write.sequence)


def _push(log: ServerLog, replica: Replica, writes: Sequence[Written], base: int) -> int:
    """Append entries, and apply all news to the replica. Returns how many entries are trimmed away."""
    for begin in range(0, len(writes), _BATCH):
        news = log.step(replica.position, replica.tail, writes[begin : begin + _BATCH])
        replica.apply(news.entries)
        while replica.position < news.total:
            news = log.step(replica.position, replica.tail)
            replica.apply(news.entries)
        base = news.base
    return base


def _enter_name(log: ServerLog, name: str) -> None:
    """Enter the study into the index again. If another study has its name by now, it gets a longer one."""
    server = log.server
    names = study_names_key(server.prefix)
    server.call(names, "HSETNX", names, name, log.study_id, expect=is_number)
    if int(server.call(names, "HGET", names, name, expect=is_text_or_none) or 0) != log.study_id:
        longer = f"{name[:100]}-recovered-{log.study_id:x}"
        if server.call(names, "HSETNX", names, longer, log.study_id, expect=is_number):
            logger.warning(
                "%s lost the study %s, and another has this name by now: the old one is called %s",
                server.shown, name, longer,
            )  # fmt: skip


@contextmanager
def _locked(log: ServerLog) -> Iterator[None]:
    """Alone among the processes that would heal, or after some seconds beside them."""
    token = secrets.token_hex(8)
    deadline = time.monotonic() + _LOCK_MS / 1000
    while not log.server.eval(LOCK, (log.keys.lock,), [token, _LOCK_MS]):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    try:
        yield
    finally:
        log.server.eval(UNLOCK, (log.keys.lock,), [token])
