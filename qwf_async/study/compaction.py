"""What stands for the entries of a log that are trimmed away: whole trials, and the rest as a few entries.

Each finished trial becomes one entry of kind M, and stays as it is for ever. What may still
change is written anew each time: the study, its attributes, and the trials that are not finished.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ..errors import DamagedData
from ..wording import quoted
from . import entry
from .replica import Replica
from .trial_record import TrialRecord

AFTER: Final = 20_000
"""Entries in a log after which they are trimmed away."""


class TrimmedAway(NamedTuple):
    """Where a log begins: behind `position` entries that were trimmed away, the last of which is `tail`.

    `live` is what compaction kept of the unfinished. All is empty if nothing was trimmed away.
    """

    position: int
    tail: bytes
    live: bytes


def compacted(replica: Replica, base: int) -> tuple[bytes, list[bytes]]:
    """What stands for the unfinished, and an entry for each trial that finished after the first `base` entries."""
    done, unfinished, provisional, numbers = [], [], [], []
    for record in replica.in_order():
        if not record.is_final:
            unfinished.append(_whole(record))
            if record.is_provisional:
                provisional.append(record.trial_id)
        elif record.finished_at > base:
            done.append(_whole(record))
        elif record.trial_id in replica.renumbered:
            numbers.append([record.trial_id, *replica.renumbered[record.trial_id]])
    study = replica.study_entries.values()
    return rest_of(study, unfinished, provisional=provisional, numbers=numbers), done


def rest_of(
    study: Iterable[bytes],
    unfinished: Iterable[bytes],
    *,
    provisional: Sequence[int] = (),
    numbers: Sequence[Sequence[int | None]] = (),
) -> bytes:
    """What stands for all but the finished trials: entries of the study, and an entry for each unfinished trial."""
    live = {
        "study": [raw.decode() for raw in study],
        "trials": [raw.decode() for raw in unfinished],
        "provisional": provisional,
        "numbers": numbers,
    }
    return entry.to_json(live).encode()


def whole_entry(trial_id: int, record: Sequence[object]) -> bytes:
    """The entry that stands for all entries of a trial."""
    return entry.entry(entry.WHOLE, trial_id, 0, 0, *record)


def restore(replica: Replica, base: TrimmedAway, done: Iterable[bytes]) -> None:
    """Enter what stands for the entries that were trimmed away, into a replica that has nothing.

    Raises DamagedData if it cannot be read.
    """
    if not base.position:
        return
    replica.position = base.position
    try:
        for raw in done:
            replica.do(raw, _number_in(raw))
        _restore_live(replica, base.live)
    except entry.UNREADABLE as error:
        raise DamagedData(
            f"what stands for the first {base.position:,} entries of the study {replica.name!r} cannot be read: "
            f"{quoted(error)}"
        ) from error
    replica.tail = base.tail


def _restore_live(replica: Replica, live: bytes) -> None:
    """Enter what `compacted` wrote of the unfinished, after all finished trials."""
    kept = json.loads(live)
    for text in kept["study"]:
        replica.do(text.encode())
    for text in kept["trials"]:
        raw = text.encode()
        replica.do(raw, _number_in(raw))
    for trial_id in kept["provisional"]:
        replica.take_for_dead(replica.records[trial_id], 0)
    for trial_id, number, asked_as in kept["numbers"]:
        if trial_id not in replica.records:
            continue  # the finished trials were not read
        replica.records[trial_id].renumber(number, asked_as)
        replica.renumbered[trial_id] = (number, asked_as)
    replica.put_in_order()


def _whole(record: TrialRecord) -> bytes:
    return whole_entry(record.trial_id, record.whole())


def _number_in(raw: bytes) -> int:
    """The number in an entry of kind M."""
    return int(raw.split(b",", 5)[4])
