"""What a pool knows between two awaits, as a frozen value, with pure transitions from one to the next.

A transition gives the next state and the one thing that is to be done about it (`Transition`);
`client.pool` does it. Nothing here awaits, reads a clock, or knows an address: each node of a
cluster can have a state of its own.

A server that has no room for another client turns connections away. Then borrowers stand in a
line. The first in it tries to open a connection now and then, and whoever gives a connection
back gives it to the first. What tells a crowded server from one that is away:

- It says that it has no room: crowded, for as long as it says so.
- It hangs up without a word (HungUp): crowded for MAX_SILENCE, then an outage.
- Over TLS it cannot say anything (ShutOut): crowded, unless a connection that we had broke too.

The connections that lie idle are a plain stack in `Pool`: to have them here would take two frozen
values and 2 µs for each HGET, of 45. `Action.KEEP` is the only way for a connection to become
idle, and no transition gives it while anybody stands in the line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Final, Generic, TypeVar

from ..errors import ServerUnavailable
from .failure import HungUp, ShutOut
from .retry import Retry

T = TypeVar("T")

QUEUE: Final = Retry(deadline=600.0)
"""How a borrower waits for room on a crowded server: for ten minutes. That is much longer
than an outage is borne, because jobs ahead of it end sooner or later. It has an end because clients that never
end may hold the places."""

MAX_SILENCE: Final = 2.0
"""Seconds for which being hung up on without a word is taken for crowding: longer, and it is an outage."""

WARN_AFTER: Final = 3.0
"""Seconds in which nobody here had a connection, after which the log says what is waited for."""

SURPLUS_TIME: Final = 2.0
"""Seconds for which more than one idle connection is kept: on a crowded server others wait for its place."""


class Rejection(Enum):
    """How a server turned a connection away."""

    NO_ROOM = auto()
    HUNG_UP = auto()
    SHUT_OUT = auto()

    @classmethod
    def of(cls, error: ServerUnavailable) -> Rejection:
        """The one that a ServerCrowded, a HungUp or a ShutOut stands for."""
        if isinstance(error, ShutOut):
            return cls.SHUT_OUT
        return cls.HUNG_UP if isinstance(error, HungUp) else cls.NO_ROOM


class Action(Enum):
    """What the pool does after a transition, with the connection that was given back or for the turn of the step."""

    NOTHING = auto()
    KEEP = auto()
    """Let the connection lie idle."""
    CLOSE = auto()
    """Close the connection."""
    LEND = auto()
    """Give the connection to the turn, which has left the line, and wake it."""
    WAKE = auto()
    """Wake the turn, which is the first in the line: an attempt to open a connection may succeed now."""
    WAIT = auto()
    """Go on waiting for room."""
    WARN = auto()
    """Go on waiting for room, and say so in the log."""
    GIVE_UP = auto()
    """Raise the error: it is an outage, or was waited for long enough."""


@dataclass(frozen=True, slots=True)
class Transition(Generic[T]):
    """The state after a transition, and what is to be done; `turn` for LEND and WAKE."""

    state: PoolState[T]
    action: Action
    turn: T | None = None


@dataclass(frozen=True, slots=True)
class PoolState(Generic[T]):
    """Who waits for room on the server, and what was last seen of it.

    `line`: the turns of those who wait, first come first served; each is told apart by its identity.
    Times are seconds of one monotonic clock. `silent_since`: when the server began to hang up
    without a word. `is_broken`: a connection broke, and none has answered since.
    `crowded_since`: when the first in the line was first turned away; infinite once the log
    has said so. `is_closed`: no connection is kept any more.
    """

    line: tuple[T, ...] = ()
    silent_since: float | None = None
    is_broken: bool = False
    crowded_since: float | None = None
    is_closed: bool = False

    def join(self, turn: T) -> PoolState[T]:
        """A borrower who found no connection, and no room for another, stands in line."""
        return replace(self, line=(*self.line, turn))

    def leave(self, turn: T) -> Transition[T]:
        """A borrower goes: served, cancelled or tired of waiting. The first of the others may try."""
        return replace(self, line=tuple(other for other in self.line if other is not turn))._wake()

    def is_first(self, turn: T) -> bool:
        return bool(self.line) and self.line[0] is turn

    def answer(self) -> PoolState[T]:
        """A connection was let in, or came back sound: the server is there, and has room for us."""
        if not self.line and not self.is_closed:
            return CALM
        return PoolState(line=self.line, is_closed=self.is_closed)

    def give_back(self, *, is_open: bool) -> Transition[T]:
        """A borrower is through with its connection, which is still open or not."""
        if not is_open:
            return replace(self, is_broken=True)._wake()
        state = self.answer()
        if state.line:
            return Transition(replace(state, line=state.line[1:]), Action.LEND, state.line[0])
        return Transition(state, Action.CLOSE if state.is_closed else Action.KEEP)

    def reject(self, rejection: Rejection, now: float, *, since: float | None = None) -> Transition[T]:
        """An attempt to open a connection was turned away: by a borrower in the line `since` then, or not in it."""
        silent = rejection is Rejection.HUNG_UP or (rejection is Rejection.SHUT_OUT and self.is_broken)
        silent_since = (now if self.silent_since is None else self.silent_since) if silent else None
        state = replace(self, silent_since=silent_since)
        is_outage = silent_since is not None and now > silent_since + MAX_SILENCE
        if is_outage or (since is not None and now > since + QUEUE.deadline):
            return Transition(state, Action.GIVE_UP)
        if since is None:
            return Transition(state, Action.WAIT)
        if state.crowded_since is None:
            return Transition(replace(state, crowded_since=now), Action.WAIT)
        if now > state.crowded_since + WARN_AFTER:
            return Transition(replace(state, crowded_since=math.inf), Action.WARN)
        return Transition(state, Action.WAIT)

    def close(self) -> PoolState[T]:
        """From now on a connection that is given back is closed, unless somebody waits for it."""
        return replace(self, is_closed=True)

    def _wake(self) -> Transition[T]:
        """The state as it is; the first in the line may try."""
        return Transition(self, Action.WAKE, self.line[0]) if self.line else Transition(self, Action.NOTHING)


CALM: Final[PoolState[Any]] = PoolState()
"""Nobody waits, and nothing is wrong. A connection that is given back sound is kept, and the state remains."""


def surplus(used: Sequence[float], now: float) -> tuple[int, float | None]:
    """How many idle connections are to be closed, the longest idle first, and in how many seconds to look again.

    `used` is when each was used last, in ascending order. None means that there is nothing more to look for.
    """
    count = 0
    while len(used) - count > 1 and now >= used[count] + SURPLUS_TIME:
        count += 1
    return count, used[count] + SURPLUS_TIME - now if len(used) - count > 1 else None
