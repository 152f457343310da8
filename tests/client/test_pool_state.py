"""The state of a pool, without a server: what holds after any order of events, and what counts as an outage."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qwf_async.client.failure import HungUp, ServerCrowded, ShutOut
from qwf_async.client.pool_state import (
    CALM,
    MAX_SILENCE,
    QUEUE,
    SURPLUS_TIME,
    WARN_AFTER,
    Action,
    PoolState,
    Rejection,
    Transition,
    surplus,
)

SIZE = 4
index = st.integers(0, 99)


@dataclass(eq=False)
class Borrower:
    """A task that holds a place of the pool: it has a connection, or waits in the line, or is opening one."""

    connection: int | None = None
    since: float | None = None
    is_opening: bool = False


@dataclass
class Server:
    room: int = SIZE
    rejection: Rejection = Rejection.NO_ROOM


@dataclass
class Seen:
    """What happened in one run."""

    joined: list[Borrower] = field(default_factory=list)
    lent: list[Borrower] = field(default_factory=list)
    warnings: int = 0


class PoolMachine(RuleBasedStateMachine):
    """A pool without an event loop, which follows the steps as `Pool` does; its connections are numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.state: PoolState[Borrower] = CALM
        self.idle: list[int] = []
        self.borrowers: list[Borrower] = []
        self.server = Server()
        self.seen = Seen()
        self.now = 0.0
        self.opened = 0

    def follow(self, step: Transition[Borrower], connection: int | None = None) -> Action:
        if step.turn is not None:
            assert step.turn is self.state.line[0] or step.turn is step.state.line[0]
        self.state = step.state
        match step.action:
            case Action.LEND:
                assert step.turn is not None
                assert step.turn not in self.state.line
                assert step.turn.connection is None
                step.turn.connection = connection
                self.seen.lent.append(step.turn)
            case Action.KEEP:
                assert connection is not None
                self.idle.append(connection)
            case Action.WARN:
                self.seen.warnings += 1
        return step.action

    @property
    def alive(self) -> int:
        return len(self.idle) + sum(borrower.connection is not None for borrower in self.borrowers)

    @property
    def lent(self) -> list[Borrower]:
        return [borrower for borrower in self.borrowers if borrower.connection and not borrower.is_opening]

    def go(self, borrower: Borrower) -> None:
        """The borrower is done, cancelled, or gives up; its connection, if it has one, comes back sound."""
        self.borrowers.remove(borrower)
        if borrower.connection is not None:
            self.follow(self.state.give_back(is_open=True), borrower.connection)
        if borrower.since is not None:
            self.follow(self.state.leave(borrower))

    @precondition(lambda self: len(self.borrowers) < SIZE)
    @rule()
    def borrow(self) -> None:
        borrower = Borrower()
        self.borrowers.append(borrower)
        if self.idle:
            borrower.connection = self.idle.pop()
        elif self.state.line:
            self.join(borrower)
        else:
            borrower.is_opening = True

    def join(self, borrower: Borrower) -> None:
        borrower.since = self.now
        self.state = self.state.join(borrower)
        self.seen.joined.append(borrower)

    @precondition(lambda self: self.state.line and not self.state.line[0].is_opening)
    @rule()
    def first_in_line_tries(self) -> None:
        self.state.line[0].is_opening = True

    @precondition(lambda self: any(borrower.is_opening for borrower in self.borrowers))
    @rule(number=index)
    def attempt_ends(self, number: int) -> None:
        opening = [borrower for borrower in self.borrowers if borrower.is_opening]
        borrower = opening[number % len(opening)]
        borrower.is_opening = False
        if self.alive < self.server.room:
            self.state = self.state.answer()
            self.opened += 1
            if borrower.connection is None:
                borrower.connection = self.opened
                if borrower.since is not None:
                    self.follow(self.state.leave(borrower))
                    borrower.since = None
            else:
                self.follow(self.state.give_back(is_open=True), self.opened)
        elif borrower.connection is None:
            step = self.state.reject(self.server.rejection, self.now, since=borrower.since)
            if self.follow(step) is Action.GIVE_UP:
                self.go(borrower)
            elif borrower.since is None and self.idle:
                borrower.connection = self.idle.pop()
            elif borrower.since is None:
                self.join(borrower)

    @precondition(lambda self: self.lent)
    @rule(number=index, is_open=st.booleans())
    def give_back(self, number: int, is_open: bool) -> None:
        borrower = self.lent[number % len(self.lent)]
        self.borrowers.remove(borrower)
        action = self.follow(self.state.give_back(is_open=is_open), borrower.connection)
        assert is_open or action in (Action.WAKE, Action.NOTHING)
        assert (action is Action.CLOSE) <= self.state.is_closed

    @precondition(lambda self: self.borrowers)
    @rule(number=index)
    def cancel(self, number: int) -> None:
        self.go(self.borrowers[number % len(self.borrowers)])

    @rule(seconds=st.sampled_from([0.1, 1.0, MAX_SILENCE + 0.1, WARN_AFTER + 0.1, QUEUE.deadline + 1]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(room=st.integers(0, SIZE), rejection=st.sampled_from(Rejection))
    def server_changes(self, room: int, rejection: Rejection) -> None:
        self.server = Server(room=room, rejection=rejection)

    @rule()
    def close(self) -> None:
        self.state = self.state.close()
        self.idle.clear()

    @invariant()
    def nobody_waits_beside_an_idle_connection(self) -> None:
        assert not (self.idle and self.state.line)

    @invariant()
    def no_more_are_lent_than_the_pool_is_large(self) -> None:
        assert len(self.lent) <= SIZE
        connections = [borrower.connection for borrower in self.borrowers if borrower.connection] + self.idle
        assert len(set(connections)) == len(connections)

    @invariant()
    def the_line_is_of_those_who_wait_in_their_order(self) -> None:
        waiting = [borrower for borrower in self.seen.joined if borrower in self.state.line]
        assert list(self.state.line) == waiting
        assert all(borrower in self.borrowers and borrower.connection is None for borrower in waiting)

    @invariant()
    def a_pool_without_trouble_is_calm(self) -> None:
        assert (self.state == CALM) <= (self.state.give_back(is_open=True) == Transition(CALM, Action.KEEP))

    def teardown(self) -> None:
        """Nobody starves: when all lent connections come back sound, all who wait are served in their order."""
        waiting, before = list(self.state.line), len(self.seen.lent)
        while self.state.line:
            if not self.lent:  # nobody has a connection to give back: the server lets the first in
                self.server = Server()
                if not self.state.line[0].is_opening:
                    self.first_in_line_tries()
                self.seen.lent.append(self.state.line[0])
                opening = [borrower for borrower in self.borrowers if borrower.is_opening]
                self.attempt_ends(opening.index(self.state.line[0]))
            else:
                self.give_back(0, is_open=True)
        assert self.seen.lent[before:] == waiting


TestPoolMachine = PoolMachine.TestCase


@pytest.mark.parametrize(
    ("error", "rejection"),
    [(ServerCrowded, Rejection.NO_ROOM), (HungUp, Rejection.HUNG_UP), (ShutOut, Rejection.SHUT_OUT)],
)
def test_a_rejection_is_told_by_its_error(error: type[HungUp], rejection: Rejection) -> None:
    assert Rejection.of(error("x")) is rejection


def actions(
    state: PoolState[str], rejection: Rejection, *times: float, since: float | None = None
) -> list[Action]:
    """The actions for attempts that are turned away at these times."""
    found = []
    for now in times:
        step = state.reject(rejection, now, since=since)
        state = step.state
        found.append(step.action)
    return found


LATE = MAX_SILENCE + 0.1


def test_a_server_that_says_that_it_has_no_room_is_waited_for_until_the_queue_ends() -> None:
    waits = actions(CALM, Rejection.NO_ROOM, 0.0, LATE, 100.0, QUEUE.deadline - 1)
    assert waits == [Action.WAIT] * 4
    assert actions(CALM, Rejection.NO_ROOM, QUEUE.deadline + 1, since=0.0) == [Action.GIVE_UP]


def test_a_server_that_hangs_up_without_a_word_is_away_after_a_moment() -> None:
    assert actions(CALM, Rejection.HUNG_UP, 0.0, 1.0, LATE) == [Action.WAIT, Action.WAIT, Action.GIVE_UP]


def test_silence_over_tls_is_an_outage_only_if_a_connection_broke_too() -> None:
    broken = CALM.give_back(is_open=False).state
    assert actions(CALM, Rejection.SHUT_OUT, 0.0, LATE) == [Action.WAIT, Action.WAIT]
    assert actions(broken, Rejection.SHUT_OUT, 0.0, LATE) == [Action.WAIT, Action.GIVE_UP]
    assert actions(broken.answer(), Rejection.SHUT_OUT, 0.0, LATE) == [Action.WAIT, Action.WAIT]


def test_an_answer_ends_a_silence() -> None:
    silent = CALM.reject(Rejection.HUNG_UP, 0.0).state
    assert actions(silent, Rejection.HUNG_UP, LATE) == [Action.GIVE_UP]
    assert actions(silent.answer(), Rejection.HUNG_UP, LATE) == [Action.WAIT]
    assert silent.reject(Rejection.NO_ROOM, 1.0).state.silent_since is None


def test_a_long_wait_without_any_connection_is_told_once() -> None:
    soon, late = 0.5 * WARN_AFTER, WARN_AFTER + 0.1
    told = actions(CALM, Rejection.NO_ROOM, 0.0, soon, late, late + 1, 10 * late, since=0.0)
    assert told == [Action.WAIT, Action.WAIT, Action.WARN, Action.WAIT, Action.WAIT]
    assert actions(PoolState(crowded_since=math.inf).answer(), Rejection.NO_ROOM, 0.0, late, since=0.0) == [
        Action.WAIT,
        Action.WARN,
    ]


def test_a_closed_pool_still_serves_those_who_wait() -> None:
    state: PoolState[str] = CALM.join("a").close()
    step = state.give_back(is_open=True)
    assert (step.action, step.turn) == (Action.LEND, "a")
    assert step.state.give_back(is_open=True).action is Action.CLOSE


@pytest.mark.parametrize(
    ("used", "count", "delay"),
    [
        ([], 0, None),
        ([0.0], 0, None),
        ([0.0, 100.0], 1, None),
        ([0.0, 50.0, 100.0], 2, None),
        ([99.0, 100.0], 0, SURPLUS_TIME - 1),
        ([50.0, 99.5, 100.0], 1, SURPLUS_TIME - 0.5),
    ],
)
def test_idle_connections_are_closed_but_for_the_one_used_last(
    used: list[float], count: int, delay: float | None
) -> None:
    assert surplus(used, 100.0) == (count, delay)
