"""The observables of one frame, as `observe` yields them."""

from __future__ import annotations

from dataclasses import dataclass

from ..lattice.grid import AXIS_NAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The observables of one frame in Hartree atomic units.

    They are those of the normalised state, but `norm` and the two products (`overlap`,
    `autocorrelation`) are of ψ as stored. Vectors have an item for each axis of the grid. `time`
    is None if the time step is not known. An observable that was not asked for is None; one that
    is not defined, as where ψ is 0, is NaN.
    """

    frame: int
    time: float | None
    norm: float
    position: tuple[float, ...]
    position_sigma: tuple[float, ...]
    momentum: tuple[float, ...] | None
    momentum_sigma: tuple[float, ...] | None
    kinetic: float | None
    potential: float | None
    interaction: float | None
    overlap: complex | None
    fidelity: float | None
    autocorrelation: complex | None

    @property
    def energy(self) -> float | None:
        """⟨H⟩ = ⟨T⟩ + ⟨V⟩, and ⟨g|ψ|²⟩/2 with an interaction; None if ⟨T⟩ or ⟨V⟩ is."""
        if self.kinetic is None or self.potential is None:
            return None
        return self.kinetic + self.potential + (self.interaction or 0.0)

    def to_json(self) -> dict[str, float | None]:
        """Each observable that is not None by its name: x, sigma_x, p_x, sigma_p_x, sigma_x_sigma_p_x, …"""
        row: dict[str, float | None] = {"frame": self.frame, "time": self.time, "norm": self.norm}
        for number, axis in enumerate(AXIS_NAMES[1 : 1 + len(self.position)]):
            row |= {axis: self.position[number], f"sigma_{axis}": self.position_sigma[number]}
            if self.momentum is not None and self.momentum_sigma is not None:
                product = self.position_sigma[number] * self.momentum_sigma[number]
                row |= {f"p_{axis}": self.momentum[number], f"sigma_p_{axis}": self.momentum_sigma[number]}
                row |= {f"sigma_{axis}_sigma_p_{axis}": product}
        energies = {
            "kinetic": self.kinetic,
            "potential": self.potential,
            "interaction": self.interaction,
            "energy": self.energy,
        }
        row |= {name: value for name, value in energies.items() if value is not None}
        for name, value in (("overlap", self.overlap), ("autocorrelation", self.autocorrelation)):
            if value is not None:
                row |= {f"{name}_re": value.real, f"{name}_im": value.imag}
        return row if self.fidelity is None else row | {"fidelity": self.fidelity}
