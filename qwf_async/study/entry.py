"""Entries of a study's log: what was done, as JSON arrays without spaces.

    [kind, trial id, lane, sequence number, …]

| kind | what | then |
|---|---|---|
| S | the study, always first | {"name", "directions", "created"} |
| U, Y | an attribute of the study, the user's or Optuna's | key, value |
| C | a trial begins | time |
| M | a whole trial | as below |
| P | parameters | [[name, internal value, distribution as text], …] |
| T | a state | state, values or null, time, and perhaps parameters as in P |
| F | another than the owner takes the trial for dead | time |
| I | a report | step, value |
| u, s | an attribute of the trial, the user's or Optuna's | key, value |
| N | numbers given anew | [[trial id, number, the number shown before, or null], …], 1 if the host says so |

A whole trial is: number or null, state, values or null, begin, end, [[name, internal value, distribution
as text], …], the user's attributes, Optuna's, [[step, value], …], lane of the owner or null if it is that
of the id.

The trial id is 0 where an entry is of the study. A *lane* is one writer: the storage of one process.
Together with the sequence number it names an entry for ever, so that none is counted twice. NaN and the
infinities stand as Python's json writes them. Times are ISO 8601 without zone, in the local time of
the process that wrote them, as Optuna has them. States are the numbers of `optuna.trial.TrialState`.
"""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

import msgspec

STUDY: Final = ord("S")
STUDY_USER_ATTRIBUTE: Final = ord("U")
STUDY_SYSTEM_ATTRIBUTE: Final = ord("Y")
CREATION: Final = ord("C")
WHOLE: Final = ord("M")
PARAMETERS: Final = ord("P")
STATE: Final = ord("T")
FAILURE: Final = ord("F")
REPORT: Final = ord("I")
USER_ATTRIBUTE: Final = ord("u")
SYSTEM_ATTRIBUTE: Final = ord("s")
NUMBERS: Final = ord("N")

MAX_LANE: Final = (1 << 31) - 1
_COUNTER_BITS: Final = 22
MAX_TRIALS_OF_LANE: Final = 1 << _COUNTER_BITS

to_json: Final = json.JSONEncoder(separators=(",", ":")).encode
"""A value as JSON. Raises TypeError if it is no JSON. NaN and the infinities are kept."""


def new_lane() -> int:
    """31 random bits, not 0."""
    return secrets.randbelow(MAX_LANE) + 1


UNREADABLE: Final = (ValueError, LookupError, TypeError)
"""What is raised where an entry is read that is none."""


def new_study_id() -> int:
    """A multiple of 256 below 2^53: other programs keep it in a double, and none is next to another."""
    return (secrets.randbelow((1 << 45) - 1) + 1) << 8


def trial_id_of(lane: int, counter: int) -> int:
    """The id of the trial that a lane began as its `counter`-th. Below 2^53."""
    return lane << _COUNTER_BITS | counter


def lane_of_trial(trial_id: int) -> int:
    """The lane that began a trial."""
    return trial_id >> _COUNTER_BITS


def entry(kind: int, trial_id: int, lane: int, sequence: int, *rest: Any) -> bytes:
    """An entry. Raises TypeError if the rest is no JSON."""
    return b'["%c",%d,%d,%d,%b' % (kind, trial_id, lane, sequence, to_json(rest)[1:].encode())


def fields(raw: bytes) -> list[Any]:
    """An entry as a list: kind, trial id, lane, sequence number and the rest. Raises ValueError if it is none."""
    found: list[Any]
    try:
        found = msgspec.json.decode(raw)  # in a fifth of the time of json
    except msgspec.DecodeError:  # NaN and the infinities
        found = json.loads(raw)
    return found


def trial_of(raw: bytes) -> int:
    """The trial id of an entry."""
    return int(raw[5 : raw.index(b",", 5)])


def writer_of(raw: bytes) -> tuple[int, int]:
    """Lane and sequence number of an entry."""
    _, _, lane, sequence, *_ = raw.split(b",", 4)
    return int(lane), int(sequence.rstrip(b"]"))
