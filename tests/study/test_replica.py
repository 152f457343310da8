"""A replica is what its log says, and the order of the log decides conflicts."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, distribution_to_json
from optuna.trial import TrialState

from qwf_async.study import entry
from qwf_async.study.compaction import TrimmedAway, compacted, restore
from qwf_async.study.replica import Replica
from qwf_async.study.trial_record import ASKED_AS

FLOAT = distribution_to_json(FloatDistribution(0, 1))
CHOICE = distribution_to_json(CategoricalDistribution(["a", None, 3]))
A, B = 7, 8
TIME = "2026-11-27T03:00:00.123456"


class Log:
    """Entries, written by lanes."""

    def __init__(self) -> None:
        self.raws: list[bytes] = []
        self._sequences: dict[int, int] = {}
        self.write(A, entry.STUDY, 0, {"name": "n", "directions": [1], "created": TIME})

    def write(self, lane: int, kind: int, trial_id: int, *rest: object) -> None:
        self._sequences[lane] = self._sequences.get(lane, 0) + 1
        self.raws.append(entry.entry(kind, trial_id, lane, self._sequences[lane], *rest))

    def replica(self, lane: int = 99) -> Replica:
        replica = Replica(lane)
        replica.apply(self.raws)
        return replica


def state_of(replica: Replica, trial_id: int) -> TrialState:
    trial = replica.trial(trial_id)
    assert trial is not None
    return trial.state


def random_log(seed: int) -> Iterator[bytes]:
    """Entries of some trials in any order, as several lanes may write them, sensible or not."""
    chance = random.Random(seed)
    log = Log()
    ids = [entry.trial_id_of(lane, count) for lane in (A, B) for count in range(1, 7)]
    for _ in range(120):
        trial_id, lane = chance.choice(ids), chance.choice((A, B))
        kind: int
        rest: list[object]
        choices: list[tuple[int, list[object]]] = [
            (entry.CREATION, [TIME]),
            (entry.PARAMETERS, [[("x", chance.random(), FLOAT)]]),
            (entry.PARAMETERS, [[("c", chance.randrange(3), CHOICE)]]),
            (entry.REPORT, [chance.randrange(3), chance.choice([1.5, float("inf")])]),
            (entry.USER_ATTRIBUTE, ["k", [1, {"a": None}]]),
            (entry.SYSTEM_ATTRIBUTE, ["s,", "x,y"]),
            (entry.STATE, [int(TrialState.RUNNING), None, TIME]),
            (entry.FAILURE, [TIME]),
        ]
        kind, rest = chance.choice(choices)
        if chance.random() < 0.06:
            kind, rest = entry.STATE, [int(TrialState.COMPLETE), [chance.random()], TIME]
        elif chance.random() < 0.1:
            kind, trial_id, rest = entry.STUDY_USER_ATTRIBUTE, 0, ["u", chance.random()]
        elif chance.random() < 0.1:
            state, owner = int(chance.choice(list(TrialState))), chance.choice([None, B])
            kind = entry.WHOLE
            rest = [None, state, [1.0], TIME, TIME, [["x", 0.5, FLOAT]], {"w": 1}, {}, [[5, 2.0]], owner]
        log.write(lane, kind, trial_id, *rest)
    present = [record.trial_id for record in log.replica().in_order()]
    shuffled = chance.sample(range(len(present)), len(present))
    log.write(A, entry.NUMBERS, 0, [[i, n, None] for i, n in zip(present, shuffled, strict=True)])
    yield from log.raws


@pytest.mark.parametrize("seed", range(40))
def test_what_compaction_keeps_stands_for_all_entries(seed: int) -> None:
    raws = list(random_log(seed))
    chance = random.Random(seed)
    whole = Replica(99)
    whole.apply(raws)
    replica, base = Replica(99), 0
    done: list[bytes] = []
    for end in sorted(chance.sample(range(1, len(raws)), 3)):
        replica.apply(raws[replica.position : end])
        live, more = compacted(replica, base)
        done += more
        base = end
        replica = Replica(99)
        restore(replica, TrimmedAway(base, raws[base - 1], live), done)
    replica.apply(raws[base:])
    assert replica.trials() == whole.trials()
    assert replica.user_attrs == whole.user_attrs
    assert (replica.name, replica.directions) == (whole.name, whole.directions)
    assert replica.count((TrialState.COMPLETE,)) == whole.count((TrialState.COMPLETE,))
    assert [r.owner for r in replica.in_order() if not r.is_final] == [
        r.owner for r in whole.in_order() if not r.is_final
    ]
    assert replica.trials((TrialState.WAITING,)) == whole.trials((TrialState.WAITING,))
    if (best := whole.best()) is not None:
        assert replica.best() is not None
        assert replica.best().value == best.value  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(10))
def test_a_replica_that_was_read_in_between_is_the_same(seed: int) -> None:
    raws = list(random_log(seed))
    whole, piecewise = Replica(99), Replica(99)
    whole.apply(raws)
    for raw in raws:
        piecewise.apply([raw])
        piecewise.trials()
        piecewise.best()
    assert piecewise.trials() == whole.trials()
    assert piecewise.copy().trials() == whole.trials()


def test_what_was_handed_out_never_changes() -> None:
    log = Log()
    trial_id = entry.trial_id_of(A, 1)
    log.write(A, entry.CREATION, trial_id, TIME)
    log.write(A, entry.PARAMETERS, trial_id, [("x", 0.5, FLOAT)])
    replica = log.replica()
    before = replica.trials()[0]
    log.write(A, entry.REPORT, trial_id, 1, 2.0)
    log.write(A, entry.STATE, trial_id, int(TrialState.COMPLETE), [1.0], TIME)
    replica.apply(log.raws[-2:])
    assert before.state is TrialState.RUNNING
    assert not before.intermediate_values
    after = replica.trials()[0]
    assert (after.state, after.value, after.intermediate_values) == (TrialState.COMPLETE, 1.0, {1: 2.0})


def test_the_first_that_takes_a_waiting_trial_has_it() -> None:
    log = Log()
    trial_id = entry.trial_id_of(A, 1)
    waiting: list[object] = [None, int(TrialState.WAITING), None, None, None, [], {}, {}, [], None]
    log.write(A, entry.WHOLE, trial_id, *waiting)
    log.write(B, entry.STATE, trial_id, int(TrialState.RUNNING), None, TIME)
    log.write(A, entry.STATE, trial_id, int(TrialState.RUNNING), None, TIME)
    replica = log.replica()
    assert replica.records[trial_id].owner == B
    assert state_of(replica, trial_id) is TrialState.RUNNING
    assert not replica.trials((TrialState.WAITING,))


def test_the_owner_of_a_trial_that_was_taken_for_dead_may_still_finish_it() -> None:
    log = Log()
    trial_id = entry.trial_id_of(A, 1)
    log.write(A, entry.CREATION, trial_id, TIME)
    log.write(B, entry.FAILURE, trial_id, TIME)
    assert state_of(log.replica(), trial_id) is TrialState.FAIL
    assert state_of(log.replica(lane=A), trial_id) is TrialState.RUNNING
    log.write(B, entry.STATE, trial_id, int(TrialState.COMPLETE), [9.0], TIME)
    assert state_of(log.replica(), trial_id) is TrialState.FAIL
    log.write(A, entry.STATE, trial_id, int(TrialState.COMPLETE), [1.0], TIME)
    log.write(B, entry.STATE, trial_id, int(TrialState.COMPLETE), [2.0], TIME)
    for lane in (A, B, 99):
        trial = log.replica(lane).trial(trial_id)
        assert trial is not None
        assert (trial.state, trial.value) == (TrialState.COMPLETE, 1.0)


def test_numbers_are_given_anew_among_the_same_trials_only() -> None:
    log = Log()
    first, second, third = (entry.trial_id_of(A, count) for count in (1, 2, 3))
    for trial_id in (first, second, third):
        log.write(A, entry.CREATION, trial_id, TIME)
    log.write(A, entry.NUMBERS, 0, [[first, 1, 7], [second, 0, None]])
    log.write(A, entry.NUMBERS, 0, [[first, 2, None]])  # another trial has 2
    replica = log.replica()
    assert [trial._trial_id for trial in replica.trials()] == [second, first, third]
    assert [trial.number for trial in replica.trials()] == [0, 1, 2]
    assert replica.trials()[1].system_attrs == {ASKED_AS: 7}
