"""Which trials' first entries are among those that a log of JournalStorage has lost.

A trial's id in such a log is how many trials were begun before. So if the entry is lost that begins
a trial, the ids of all later ones are one higher than the entries that are left make them, and their
results would go to other trials. The workers give it away: the first that a worker does to a trial
which it began names the trial's true id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from ...errors import DamagedData

Entry: TypeAlias = dict[str, Any]
"""An entry of a log, as its JSON has it."""

_CREATE_STUDY: Final = 0
_DELETE_STUDY: Final = 1
_CREATE_TRIAL: Final = 4
_OF_TRIALS: Final = range(5, 10)


@dataclass(slots=True)
class _Stretch:
    """Trials begun one after the other, with no entry lost between them.

    `lost` entries are lost before its first trial and after the last of the stretch before; the first
    of these is entry `at`. `first` is the count of trials left before it. `shifts` is by how much
    the true ids are higher, as workers say.
    """

    first: int
    lost: int = 0
    at: int = 0
    shifts: set[int] = field(default_factory=set)


def lost_beginnings(entries: Iterable[Entry | None], *, where: str) -> dict[int, int]:
    """Number of a lost entry → how many trials were begun by it and by those lost after it.

    A lost entry is None. Raises DamagedData if that cannot be told, or if a study's first entry is
    lost. `where` names the log. Entries that make no sense are left to whoever applies them.
    """
    stretches = [_Stretch(first=0)]
    pending: dict[str, tuple[int, int, int]] = {}
    # worker → the trial that it began last: its place, its stretch, and how many entries were lost before it
    living: dict[int, str] = {}  # the studies that are not deleted
    count = lost = at = total_lost = studies = 0
    highest = -1
    for number, entry in enumerate(entries):
        if entry is None:
            at = at if lost else number
            lost += 1
            total_lost += 1
            continue
        op, worker = entry.get("op_code"), str(entry.get("worker_id"))
        study_id = _int(entry.get("study_id"))
        if total_lost and study_id >= studies:
            raise DamagedData(f"the entry of {where} that begins study {study_id} is lost")
        if op == _CREATE_STUDY and (name := str(entry.get("study_name"))) not in living.values():
            living[studies] = name
            studies += 1
        elif op == _DELETE_STUDY:
            living.pop(study_id, None)
        elif op == _CREATE_TRIAL and study_id in living:
            if lost:
                stretches.append(_Stretch(first=count, lost=lost, at=at))
                lost = 0
            pending.pop(worker, None)
            if "state" not in entry:  # else it may be for the queue: then anybody goes on with it
                pending[worker] = count, len(stretches) - 1, total_lost
            count += 1
        elif op in _OF_TRIALS:
            trial_id = _int(entry.get("trial_id"))
            highest = max(highest, trial_id)
            if worker in pending:
                place, stretch, lost_before = pending.pop(worker)
                if place <= trial_id <= place + lost_before:
                    stretches[stretch].shifts.add(trial_id - place)
    return _beginnings(stretches, count, highest, _Stretch(first=count, lost=lost, at=at), where)


def _beginnings(
    stretches: list[_Stretch], count: int, highest: int, end: _Stretch, where: str
) -> dict[int, int]:
    found, shift = {}, 0
    for place, stretch in enumerate(stretches):
        if not stretch.lost:
            continue
        later = [min(other.shifts) for other in stretches[place:] if other.shifts]
        is_open = not later and highest >= stretch.first + shift
        here = min(stretch.shifts, default=shift if shift in later[:1] or not is_open else -1)
        if len(stretch.shifts) > 1 or not shift <= here <= shift + stretch.lost:
            raise DamagedData(
                f"entry {stretch.at:,} of {where} is lost, and it cannot be told to which trials those after it "
                "belong"
            )
        if here > shift:
            found[stretch.at] = here - shift
        shift = here
    if end.lost and (beyond := min(highest + 1 - count - shift, end.lost)) > 0:
        found[end.at] = beyond
    return found


def _int(value: Any) -> int:
    return value if type(value) is int else -1
