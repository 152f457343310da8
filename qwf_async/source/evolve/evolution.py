"""The evolution of a state in a potential: a wavefunction propagated in time; a Source."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...host.cores import cores
from ...lattice.grid import Box, Grid, Order
from ...lattice.unit_system import HARTREE, UnitSystem
from ...observables.energy import energy, interaction_energy
from ...observables.geometry import volume
from ...observables.moments import norm
from ..analytic.formula import Analytic
from ..base import Source, identity, understood_of, warnings_of
from ..parameters import number_text
from .absorbing import damping, unabsorbed
from .choosing import chosen_transforms
from .coarse import too_coarse
from .initial import InitialFrame
from .pace import Pace
from .potentials import Free, FunctionPotential, Potential, potential_values
from .prefetch import PrefetchedFrames
from .propagator import Propagator
from .spec import spec_text
from .stability import most_interaction, stable_step, times_of
from .transforms import ScipyTransforms, Transforms

METHOD: Final = "strang-2"
"""Changed when the values change for the same parameters: no load may continue with another method's values."""

MAX_ENERGY_FRAMES: Final = 16
"""Frames after the first, at most, at which the energy is measured: it costs as much as two steps."""

ACCURACY: Final = 1e-3
"""Default bound on the error of ψ that the time steps make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evolve:
    """The first frame of another source, propagated in time; see `evolve`."""

    initial: Source
    potential: Potential
    grid: Grid
    given: int
    accuracy: float
    stable: float
    absorb: float
    strength: float
    g: float = 0.0
    fft: str = "auto"
    _frames: PrefetchedFrames = field(init=False, repr=False, compare=False)
    _pace: Pace = field(init=False, repr=False, compare=False)
    _pool: ThreadPoolExecutor = field(init=False, repr=False, compare=False)
    _chosen: list[bool] = field(init=False, repr=False, compare=False, default_factory=list)
    _measured: dict[int, tuple[float, float | None]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        pool = ThreadPoolExecutor(cores(), "evolve-block")
        axis, last = self.grid.axes[0], self.grid.shape[0] - 1
        frames = PrefetchedFrames(begin=self._begin, advance=self._advance, last=last)
        pace = Pace(
            propagator=Propagator(
                grid=self.grid,
                potential=self.potential,
                damping=damping(self.grid, self.absorb, self.strength),
                pool=pool,
                transforms=ScipyTransforms(shape=self.grid.shape),
                g=self.g,
            ),
            frames=last + 1,
            start=axis.origin,
            between=axis.step or 0.0,
            least=self._least,
            chooses=not self.given,
            accuracy=self.accuracy,
            watched=not isinstance(self.potential, Free) or self.absorb > 0 or self.g != 0,
            grows=self.g != 0,
            first=lambda: self._first()[0],
            check=frames.check,
        )
        object.__setattr__(self, "_frames", frames)
        object.__setattr__(self, "_pace", pace)
        object.__setattr__(self, "_pool", pool)

    @property
    def steps(self) -> int:
        """Steps from frame to frame: as given, or the most taken so far, or at first as many as are stable."""
        return self._pace.most or self._least

    @property
    def step(self) -> float:
        """The time step of the propagation in ħ/Eh, the shortest taken so far."""
        return self._pace.shortest if self._pace.most else abs(self._between) / self._least

    @property
    def _between(self) -> float:
        return self.grid.axes[0].step or 0.0

    @property
    def _least(self) -> int:
        return self.given or max(1, math.ceil(abs(self._between) / self.stable))

    @property
    def order(self) -> Order:
        return "C"

    @property
    def spec(self) -> str:
        """The evolution as it can be given on the command line, if its parts can be."""
        begin = self.grid.axes[0].origin
        start = {"start": number_text(begin) if begin else ""}
        options = {
            **(self.initial.words if isinstance(self.initial, InitialFrame) else start),
            "g": number_text(self.g) if self.g else "",
            "mass": number_text(self.grid.mass) if {self.grid.mass, self.initial.grid.mass} != {1.0} else "",
            "steps": str(self.given) if self.given else "",
            "accuracy": number_text(self.accuracy) if not self.given or self.accuracy != ACCURACY else "",
            "absorb": number_text(self.absorb),
            "strength": number_text(self.strength) if self.absorb and self.strength else "",
        }
        given = {key: text for key, text in options.items() if text}
        return spec_text(self.initial.spec, self.potential, given)

    def read(self, box: Box) -> NDArray[np.complex128]:
        """ψ over the box, a copy, in C order. Boxes should be read in time order.

        All cores compute the next frame while this one is read. A box of an earlier frame starts
        the evolution again, with the same values, bit for bit.
        """
        result = np.empty(box.shape, np.complex128)
        for number in range(box.start[0], box.stop[0]):
            frame = self._frames.frame(number)
            result[number - box.start[0]] = frame[box.slices[1:]]
        return result

    def fingerprint(self) -> str:
        """Potential, time step, grid, and the initial state's fingerprint.

        A user's potential is represented by a hash of its values at the first and last time, and some
        between. The values of ψ depend on the library that transforms, its release and its plans, so these
        are part of it.
        """
        facts = [self.spec, f"method={METHOD}", self._transforms().facts]
        if isinstance(self.potential, FunctionPotential):
            facts += [f"potential={self._potential_digest()}"]
        return identity(*facts, f"initial=({self.initial.fingerprint()})", grid=self.grid)

    def notes(self) -> dict[str, float]:
        """For the report: steps, error, norm and energy of the frames computed so far.

        `steps` is the largest number of steps from frame to frame, `time_step` the shortest step
        in ħ/Eh. `error_estimate` is the largest estimate of ‖ψ − right ψ‖ / ‖first ψ‖. It is left out
        if steps were given and no four of them end at a frame, or if the method has no error.
        `norm_drift` is the largest |norm/first norm − 1| over the frames, `energy_drift` the largest
        |energy − first energy| in Hartree over up to 17 of them; with an interaction energies are
        ⟨T⟩ + ⟨V⟩ + ⟨g|ψ|²⟩/2, which is conserved. Empty before anything was read.
        """
        if not self._measured:
            return {}
        frames = sorted(self._measured)
        norms = [self._measured[number][0] for number in frames]
        energies = [e for number in frames if (e := self._measured[number][1]) is not None]
        error = self._pace.error
        return {
            "steps": self.steps,
            "time_step": self.step,
            **({} if error is None else {"error_estimate": error}),
            "norm_first": norms[0],
            "norm_last": norms[-1],
            "norm_drift": max(abs(n / norms[0] - 1) for n in norms) if norms[0] else 0.0,
            "energy_first": energies[0],
            "energy_last": energies[-1],
            "energy_drift": max(abs(e - energies[0]) for e in energies),
        }

    def warnings_in(self, units: UnitSystem) -> list[str]:
        """`warnings`, with the advice about the initial state in other units; other numbers are said to be atomic."""
        texts, first = self.warnings(), list(self._begin_warnings())
        if units is HARTREE:
            return texts
        return [*self._begin_warnings(units), *(f"{text} (in atomic units)" for text in texts[len(first) :])]

    def warnings(self) -> list[str]:
        """Warnings before the run.

        There are warnings of a grid that is too small or too coarse for the initial state, and of too
        few points where the potential jumps. Others are of a potential without effect, of waves that
        the edges will not absorb, of an interaction too strong for the grid, and of given steps that
        are not stable.
        """
        texts = list(self._begin_warnings())
        if self.grid.shape[0] == 1:
            return texts
        if self.absorb:
            whole = abs(self._between) * (self.grid.shape[0] - 1)
            texts += unabsorbed(self._first(), self.grid, self.absorb, self.strength, whole)
        times = times_of(self.grid) if self.potential.moving else [self.grid.axes[0].origin]
        if not isinstance(self.potential, Free) and not self.potential.moving:
            v = potential_values(self.potential, self.grid, times[0])
            if v.min() == v.max():
                texts.append(
                    f"potential {self.potential.spec} is the same at all points of the grid: "
                    "what it has may lie outside of the grid, or, of a function, between its points"
                )
        if self.potential.jumps:
            texts += too_coarse(
                self._first(), potential_values(self.potential, self.grid, times[0]), self.grid
            )
        strength = 0.0
        if self.g:
            strength = abs(self.g) * float((np.abs(self._first()) ** 2).max())
            if strength > (most := most_interaction(self.grid)):
                texts.append(
                    f"g|ψ|² is {math.copysign(strength, self.g):.4g} Eh at its peak, and the grid holds the waves of "
                    f"an interaction up to {most:.4g} Eh: give it more points"
                )
        stable = stable_step(self.grid, self.potential, times, interaction=strength)
        if self.given and self.step > stable:
            texts.append(
                f"the time step of {self.step:.4g} ħ/Eh is too large: in one step the fastest phase turns by "
                f"{math.pi * self.step / stable:.3g} rad, more than π; up to {stable:.4g} ħ/Eh is stable: "
                f"give steps={math.ceil(self.step * self.given / stable)}"
            )
        return texts

    def remarks(self) -> list[str]:
        """A warning after the run if the given steps were less accurate than `accuracy`."""
        error = self._pace.error or 0.0
        if not self.given or error <= self.accuracy:
            return []
        steps = math.ceil(self.given * math.sqrt(error / self.accuracy))
        return [
            f"with steps={self.given} the error of ψ is about {error:.2g}, more than accuracy={self.accuracy:g}: "
            f"give steps={steps} or more, or leave steps out"
        ]

    def _begin_warnings(self, units: UnitSystem = HARTREE) -> Sequence[str]:
        """The warnings of the initial state about its first frame; its later frames are not used."""
        initial = self.initial
        if isinstance(initial, Analytic):
            grid = replace(initial.grid, shape=(1, *initial.grid.shape[1:]))
            return replace(initial, grid=grid).warnings_in(units)
        return warnings_of(initial)

    def understood(self) -> dict[str, str]:
        """For a dry run: how the steps from frame to frame are chosen."""
        words = dict(understood_of(self.initial))
        if self.grid.shape[0] == 1:
            return words
        least = f"{self._least:,} from frame to frame, of {abs(self._between) / self._least:.4g} ħ/Eh"
        if self.given:
            return {**words, "steps": least}
        return {
            **words,
            "steps": f"at least {least}; more where ψ needs them for an error of {self.accuracy:g}",
        }

    def close(self) -> None:
        """Stop computing, release the frames, and close the initial state."""
        self._frames.close()
        self._pace.forget()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.initial.close()

    def _first(self) -> NDArray[np.complex128]:
        """The initial state ψ[1, x, y, z]."""
        return self.initial.read(Box(start=(0, 0, 0, 0), stop=(1, *self.grid.shape[1:])))

    def _transforms(self) -> Transforms:
        """Those of the run, chosen when they are first needed: measuring plans may take seconds."""
        propagator = self._pace.propagator
        if not self._chosen:
            steps = self._least * (self.grid.shape[0] - 1)
            propagator.transforms = chosen_transforms(self.grid, self.fft, steps)
            self._chosen.append(True)
        return propagator.transforms

    def _begin(self) -> NDArray[np.complex128]:
        self._transforms()
        frame = np.array(self._first()[0], np.complex128, order="C")
        self._measure(0, frame, float(norm(frame[None], self.grid)[0]))
        self._pace.begin(frame)
        return frame

    def _advance(self, psi: NDArray[np.complex128], into: NDArray[np.complex128], number: int) -> None:
        self._measure(number + 1, into, self._pace.advance(psi, into, number) * volume(self.grid))

    def _measure(self, number: int, frame: NDArray[np.complex128], weight: float) -> None:
        last = self.grid.shape[0] - 1
        mean_energy = None
        if number % math.ceil(max(1, last) / MAX_ENERGY_FRAMES) == 0 or number == last:
            v = potential_values(self.potential, self.grid, self.grid.axes[0].origin + number * self._between)
            mean_energy = float(energy(frame[None], self.grid, v)[0])
            if self.g:
                mean_energy += float(interaction_energy(frame[None], self.g)[0])
        self._measured[number] = weight, mean_energy

    def _potential_digest(self) -> str:
        digest = hashlib.sha256()
        for time in times_of(self.grid):
            v = potential_values(self.potential, self.grid, time)
            digest.update(np.ascontiguousarray(v).data)
        return digest.hexdigest()[:32]
