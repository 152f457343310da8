"""How many steps are taken from frame to frame, and how far that leaves ψ from the right one.

A shadow of ψ is propagated beside it in steps four times as long, from the first frame to the
last. The splitting is of second order, so the shadow's error is 16 times that of ψ, and their
distance 15 times. Where V jumps the order can fall to 3/2, and the distance to 7 times the error.
So the estimate is the distance divided by 7, which elsewhere is twice the error. Both start from
one state, so the estimate is of the whole run, with everything that cancels on the way. A sum
of the errors of single steps would be a hundred times too large where V jumps, since the next step
undoes most of such an error. The shadow costs a quarter of the run.

A run starts with as many steps as are stable. The bound on the estimate grows evenly from half the
accuracy at the first frame to all of it at the last. Where the estimate is above its bound, the leg
is done again in shorter steps, and the run keeps to these. With g|ψ|² an error that was made
earlier grows by itself: a soliton of another height turns its phase at another rate. Where shorter
steps no longer help, the run is done again from the first frame in half the least step. The
frames that were handed out are accurate, and stay. The choice depends on ψ and V alone,
so a repeated run takes the same steps and has the same values, bit for bit. A time-dependent
potential is evaluated only at the steps. A pulse shorter than a stable step, the period of the
shortest waves of the grid, may fall between two of them. Where V jumps in time the order is 1, and
the estimate may be too small by a factor of two or three.

Source: Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, section II.4;
order at jumps: Jahnke and Lubich, BIT 40, 735 (2000).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from .propagator import Leg, Propagator, weight

Complex = NDArray[np.complex128]

SHADOW_STRIDE: Final = 4
"""Steps of ψ for one step of its shadow."""

DIVISOR: Final = SHADOW_STRIDE**1.5 - 1
"""The distance of ψ and its shadow, in errors of ψ, at the order 3/2."""

MAX_LEG_STEPS: Final = 256
"""Stable steps of a leg, at most: this much is done again if the steps turn out to be too long."""

MAX_STEPS_PER_STABLE_STEP: Final = 2**16
"""Steps in place of a stable one, at most."""

MAX_LEAST_STEPS: Final = 64
"""Steps in place of a stable one from which a run is not begun again: its errors then grow too fast."""


@dataclass(slots=True, kw_only=True)
class Pace:
    """Takes ψ from frame to frame in `least` steps, or in more if it `chooses`.

    The first of the `frames` is at the time `start`, the next one `between` later, in ħ/Eh.
    `accuracy` bounds ‖ψ − right ψ‖ / ‖ψ at the first frame‖ at every frame. `watched` is False
    where the splitting has no error, `grows` where an error grows by itself. `first` returns frame 0.
    `check` is called before each pass over a frame, and may raise.
    """

    propagator: Propagator
    frames: int
    start: float
    between: float
    least: int
    chooses: bool
    accuracy: float
    watched: bool
    grows: bool
    first: Callable[[], Complex]
    check: Callable[[], None]
    error: float | None = field(init=False, default=None)
    """The largest estimate at the frames compared so far, None before the first."""
    most: int = field(init=False, default=0)
    """The largest number of steps taken from one frame to the next."""
    shortest: float = field(init=False, default=math.inf)
    """The shortest step taken, in ħ/Eh."""
    _steps: int = field(init=False, default=0)
    _floor: int = field(init=False, default=0)
    _present: float = field(init=False, default=0.0)
    _weight: float = field(init=False, default=0.0)
    _shadow: Complex | None = field(init=False, default=None)
    _compared: int = field(init=False, default=0)
    _spares: dict[str, Complex] = field(init=False, default_factory=dict)

    def begin(self, frame: Complex) -> None:
        """Start again with frame 0."""
        self.error, self.most, self.shortest = None, 0, math.inf
        self._floor = self.least
        self._begin(frame)

    def _begin(self, frame: Complex) -> None:
        self._weight = weight(frame)
        self._steps = self._floor
        self._shadow, self._compared, self._present = None, 0, 0.0
        if self.watched and self._weight:
            self._shadow = frame.copy()

    def advance(self, psi: Complex, into: Complex, number: int) -> float:
        """Fill `into` with frame `number` + 1, given frame `number`; returns its Σ|ψ|².

        Raises InvalidInput if the potential fails, or if no number of steps is accurate.
        """
        present: Complex | None = psi
        while True:
            try:
                return self._in_legs(self._again(number) if present is None else present, into, number)
            except _Grown:
                present, self._floor = None, 2 * self._floor

    def _again(self, number: int) -> Complex:
        """Frame `number`, from the first frame on in the least steps there are now."""
        frame = np.array(self.first(), np.complex128, order="C")
        ahead = np.empty_like(frame)
        self._begin(frame)
        for passed in range(number):
            self._in_legs(frame, ahead, passed)
            frame, ahead = ahead, frame
        return frame

    def _in_legs(self, psi: Complex, into: Complex, number: int) -> float:
        """`advance`. Raises _Grown where it takes a run from the beginning."""
        if not self.chooses or self._shadow is None:
            return self._obey(psi, into, number)
        legs = math.ceil(self.least / MAX_LEG_STEPS)
        steps = math.ceil(self._steps / (SHADOW_STRIDE * legs)) * SHADOW_STRIDE
        total, ahead, norm = 0, psi, 0.0
        for leg in range(legs):
            behind, ahead = ahead, into if (legs - leg) % 2 else self._spare("psi", into)
            steps, norm = self._choose(self._shadow, behind, ahead, number * legs + leg, legs, steps)
            total += steps
        self._steps = steps * legs
        self.most = max(self.most, total)
        return norm

    def forget(self) -> None:
        """Release the frames."""
        self._shadow, self._spares = None, {}

    def _obey(self, psi: Complex, into: Complex, number: int) -> float:
        """`advance` in the given number of steps; the shadow follows where whole steps of its own end at a frame."""
        dt = self.between / self.least
        leg = Leg(start=self._time(number), stop=self._time(number + 1), dt=dt, steps=self.least)
        norm = self.propagator.advance(psi, into, leg, self.check)
        self.most, self.shortest = self.least, abs(dt)
        steps, shadow = (number + 1 - self._compared) * self.least, self._shadow
        if shadow is not None and steps % SHADOW_STRIDE == 0:
            leg = Leg(start=self._time(self._compared), stop=leg.stop, dt=dt, steps=steps)
            self.propagator.advance(shadow, shadow, leg, self.check, every=SHADOW_STRIDE)
            self._compared = number + 1
            self.error = max(self.error or 0.0, self._estimate(into, shadow))
        return norm

    def _choose(
        self, shadow: Complex, psi: Complex, into: Complex, number: int, legs: int, steps: int
    ) -> tuple[int, float]:
        """Leg `number`, of `legs` from frame to frame, in `steps` steps or more; returns how many, and Σ|ψ|²."""
        ahead = self._spare("shadow", into)
        bound = self.accuracy * (1 + (number + 1) / (legs * (self.frames - 1))) / 2
        start, stop = self._time(number / legs), self._time((number + 1) / legs)
        before, tried = math.inf, steps
        while True:
            if steps * legs > self.least * MAX_STEPS_PER_STABLE_STEP:
                raise InvalidInput(
                    f"no time step is accurate to {self.accuracy:g} at t = {start:g} ħ/Eh: "
                    f"{steps * legs:,} from frame to frame are too few; give accuracy= or steps="
                )
            leg = Leg(start=start, stop=stop, dt=self.between / (steps * legs), steps=steps)
            try:
                norm = self._in_phase(psi, into, leg, 1)
                self._in_phase(shadow, ahead, leg, SHADOW_STRIDE)
            except _TooLong as error:
                steps = _more(steps, error.factor)
                continue
            present = self._estimate(into, ahead)
            if not present > bound:
                break
            if steps > tried and self._grown(bound, before, present, steps / tried):
                raise _Grown
            before, tried = present, steps
            steps = _more(steps, 1.1 * math.sqrt((present - self._present) / (bound - self._present)))
        self._shadow, self._spares["shadow"] = ahead, shadow
        self._present, self.error = present, max(self.error or 0.0, present)
        self.shortest = min(self.shortest, abs(leg.dt))
        return steps, norm

    def _grown(self, bound: float, before: float, present: float, factor: float) -> bool:
        """Whether the estimate would stay above its bound in ever more steps, after `factor` times as many."""
        if not (self.grows and self._present) or present - (before - present) / (factor**1.5 - 1) <= bound:
            return False
        if self._floor >= self.least * MAX_LEAST_STEPS:
            raise InvalidInput(
                f"no time step is accurate to {self.accuracy:g}: the interaction makes small errors grow; "
                "give a shorter run, a larger accuracy=, or steps="
            )
        return True

    def _in_phase(self, psi: Complex, into: Complex, leg: Leg, every: int) -> float:
        """The propagator's `advance`. Raises _TooLong where the range of V turns phases by more than π in a step."""
        self.propagator.widest = 0.0

        def check() -> None:
            self.check()
            turn = self.propagator.widest * abs(leg.dt) / math.pi
            if turn > 1 + 1e-9:
                raise _TooLong(turn)

        return self.propagator.advance(psi, into, leg, check, every=every)

    def _time(self, frame: float) -> float:
        return self.start + frame * self.between

    def _estimate(self, psi: Complex, shadow: Complex) -> float:
        """The error of ψ, relative to the first frame, from its distance to the shadow."""
        return math.sqrt(self.propagator.distance(psi, shadow) / self._weight) / DIVISOR

    def _spare(self, name: str, like: Complex) -> Complex:
        """An array for a frame, which is kept from leg to leg."""
        if name not in self._spares:
            self._spares[name] = np.empty_like(like)
        return self._spares[name]


class _Grown(Exception):  # not an error: the run is done again in shorter steps
    """An error of earlier legs has grown too large."""


class _TooLong(Exception):  # not an error: the leg is done again
    def __init__(self, factor: float) -> None:
        self.factor = factor


def _more(steps: int, factor: float) -> int:
    """`factor` times as many steps, but 1.3 to 8 times: an estimate far above its bound is uncertain."""
    return math.ceil(steps * min(max(factor, 1.3), 8.0) / SHADOW_STRIDE) * SHADOW_STRIDE
