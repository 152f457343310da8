"""What `qwf observe` may be asked for, and the rows that answer it, read from the server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput, UsageError
from ..observables.observed_columns import Column, Observation, Row, columns_of
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    from ..lattice.grid import Grid
    from ..lattice.unit_system import UnitSystem
    from ..store.store import Store
    from ..store.wavefunction import Wavefunction

Done = Callable[[int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options of `qwf observe`: for observables, a density along an axis, what passes a plane, or a spectrum."""

    name: str
    frame: int | None
    other: str | None
    potential: str | None
    g: float | None
    autocorrelation: bool
    sums: bool
    marginal: str | None
    momentum: bool
    at: str | None
    region: str | None
    current: bool
    spectrum: bool
    units: str | None

    def check(self) -> None:
        """Raises UsageError for options that contradict each other."""
        kinds = {
            "--spectrum": self.spectrum,
            "--momentum": self.momentum,
            "--marginal": self.marginal is not None and not self.momentum,
            "--at and --region": bool(self.at or self.region),
        }
        asked = [kind for kind, given in kinds.items() if given]
        if len(asked) > 1:
            raise UsageError(f"{asked[0]} and {asked[1]} print different things: give one of them")
        if self.marginal is not None and self.marginal not in ("x", "y", "z"):
            raise UsageError(f"--marginal {self.marginal!r} is no axis: x, y or z")
        if self.current and self.at is None:
            raise UsageError(
                "--current is the flux through a plane: say where it is by --at, such as --at x=0"
            )
        plain = {
            "--with": self.other,
            "--potential": self.potential,
            "--g": self.g is not None,
            "--autocorrelation": self.autocorrelation,
            "--sums": self.sums,
        }
        given = [option for option, value in plain.items() if value]
        if asked and given:
            raise UsageError(f"{asked[0]} does not go with {given[0]}, which is of the observables")
        if self.spectrum and self.frame is not None:
            raise UsageError("--spectrum is of all frames: there is no --frame")

    @property
    def one_frame(self) -> bool:
        """Whether it is of one frame only."""
        return self.frame is not None or self.marginal is not None or self.momentum


async def observed(
    store: Store, wanted: Wanted, system: Callable[[Grid], UnitSystem], done: Done
) -> Observation:
    """What was asked for. `system` gives the units for a grid. Raises as `qwf_async.observe`."""
    from ..observables.geometry import in_steps

    psi = await open_stored(store, wanted.name)
    grid = psi.manifest.grid
    needing = {"a potential": wanted.potential, "a plane": wanted.at, "a region": wanted.region}
    for thing, given in needing.items():
        if given is not None and in_steps(grid):
            raise InvalidInput(
                f"the spacing of {wanted.name} along {', '.join(in_steps(grid))} is not known, and {thing} needs it: "
                "ingest it with --box"
            )
    if wanted.spectrum:
        return await _spectrum(psi, system(grid), done)
    if wanted.momentum or wanted.marginal is not None:
        return await _density(psi, wanted)
    if wanted.at or wanted.region:
        return await _passing(psi, wanted, done)
    return await _observables(store, psi, wanted, done)


async def _observables(store: Store, psi: Wavefunction, wanted: Wanted, done: Done) -> Observation:
    from ..lattice.unit_system import HARTREE, unit_system
    from ..source import read_potential
    from ..store.observing import observe_opened

    given = HARTREE if wanted.units is None else unit_system(wanted.units)
    dimensions = psi.manifest.grid.dimensions
    stream = observe_opened(
        psi,
        frames=None if wanted.frame is None else [wanted.frame],
        potential=None if wanted.potential is None else read_potential(wanted.potential, wanted.units),
        g=None if wanted.g is None else wanted.g * given.in_atomic_units("interaction", dimensions),
        bra=None if wanted.other is None else await open_stored(store, wanted.other),
        autocorrelation=wanted.autocorrelation,
        sums_only=wanted.sums,
        done=done,
    )
    return _observation(psi, [row.to_json() async for row in stream])


async def _passing(psi: Wavefunction, wanted: Wanted, done: Done) -> Observation:
    from ..lattice.position import read_coordinates, read_region
    from ..store.passing import passing_opened

    grid = psi.manifest.grid
    plane = {} if wanted.at is None else read_coordinates(wanted.at)
    region = None if wanted.region is None else read_region(wanted.region)
    if wanted.at is not None and (len(plane) != 1 or 0 in plane):
        raise UsageError(f"--at {wanted.at} is no plane: write one coordinate, such as x=0")
    sizes = [_bohr(grid, axis) for axis in range(4)]
    stream = passing_opened(
        psi,
        at={axis: _on(grid, axis, value) * sizes[axis] for axis, value in plane.items()},
        region=region
        and {axis: (low * sizes[axis], high * sizes[axis]) for axis, (low, high) in region.items()},
        flux=wanted.current,
        frames=None if wanted.frame is None else [wanted.frame],
        done=done,
    )
    heads = {}
    for axis, value in plane.items():
        letter = "txyz"[axis]
        heads = {"left": Column(head=f"{letter} < {value:g}", beside="norm")}
        heads["right"] = Column(head=f"{letter} > {value:g}", beside="norm")
    return _observation(psi, [row.to_json() async for row in stream], **heads)


def _on(grid: Grid, axis: int, value: float) -> float:
    """The coordinate, if it lies on the axis. Raises InvalidInput if not, or if there is no such axis."""
    from ..lattice.position import nearest_point

    if axis > grid.dimensions:
        raise InvalidInput(
            f"there is no plane across {'txyz'[axis]}: the grid lies along {'xyz'[: grid.dimensions]}"
        )
    nearest_point(grid, {axis: value})
    return value


def _bohr(grid: Grid, axis: int) -> float:
    """The unit of a spatial axis in bohr."""
    from ..lattice.units import in_atomic_units

    return in_atomic_units(grid.axes[axis].unit, time=axis == 0, what=f"axis {'txyz'[axis]}")[0]


async def _density(psi: Wavefunction, wanted: Wanted) -> Observation:
    """The density along an axis of space or of momentum at one frame, a row a point."""
    from ..observables.geometry import coordinates
    from ..observables.momentum_density import momentum_axis
    from ..store.observing import marginals_opened
    from ..store.spectra import momentum_density_opened

    grid, axis = psi.manifest.grid, wanted.marginal
    there = "xyz"[: grid.dimensions]
    if axis is None and len(there) > 1:
        raise UsageError(
            f"{psi.name} lies along {there}: --marginal says along which of them the momentum is printed"
        )
    axis = axis or "x"
    if axis not in there:
        raise InvalidInput(f"{psi.name} lies along {there} only: no density along {axis}")
    number, frame = 1 + "xyz".index(axis), wanted.frame or 0
    if wanted.momentum:
        key, places = f"k_{axis}", momentum_axis(grid, number)
        density = await momentum_density_opened(psi, frame, [number])
        column = Column(head=f"ρ(k{axis})", quantity="per momentum", beside="density", axes=axis)
    else:
        key, places = axis, coordinates(grid, number, 0, grid.shape[number])
        density = (await marginals_opened(psi, frame))[number - 1]
        column = Column(head=f"ρ({axis})", quantity="per length", beside="density", axes=axis)
    rows = [
        {key: place, "density": rho} for place, rho in zip(places.tolist(), density.tolist(), strict=True)
    ]
    heads = {} if wanted.momentum else {axis: Column(head=axis, quantity="length", beside=axis, axes=axis)}
    return _observation(psi, rows, density=column, **heads)


async def _spectrum(psi: Wavefunction, system: UnitSystem, done: Done) -> Observation:
    from ..observables.spectrum import WINDOW
    from ..store.spectra import spectrum_opened

    found = await spectrum_opened(psi, done=done)
    unit, symbol = system.unit("energy")
    said = [
        f"⟨ψ(0)|ψ(t)⟩ over {psi.manifest.grid.shape[0]} frames, {WINDOW} window",
        f"energies within ±{found.limit / unit:.4g} {symbol} (π/dt), "
        f"resolution {found.resolution / unit:.4g} {symbol} (2π/T)",
    ]
    if found.in_lines < 0.99:
        said.append(
            f"the lines describe {found.in_lines:.0%} of it: else a continuum, or lines closer than 1.4 resolutions"
        )
    lines: list[Row] = [{"energy": line.energy, "weight": line.weight} for line in found.lines]
    curve = zip(found.energies.tolist(), found.density.tolist(), strict=True)
    return Observation(
        grid=psi.manifest.grid,
        rows=[{"energy": energy, "density": density} for energy, density in curve],
        columns={
            "energy": Column(head="energy", quantity="energy", beside="energy"),
            "weight": Column(head="weight", beside="weight"),
            "density": Column(head="density", quantity="per energy", beside="density"),
        },
        rounding=rounding_of(psi),
        facts={
            "window": WINDOW,
            "resolution": found.resolution / unit,
            "limit": found.limit / unit,
            "in_lines": found.in_lines,
            "lines": [{"energy": line.energy / unit, "weight": line.weight} for line in found.lines],
        },
        said=said,
        shown=lines,
    )


def _observation(psi: Wavefunction, rows: list[Any], **others: Column) -> Observation:
    names = list(rows[0])
    return Observation(
        grid=psi.manifest.grid, rows=rows, columns=columns_of(names, **others), rounding=rounding_of(psi)
    )


def rounding_of(psi: Wavefunction) -> float:
    """The share of a sum over what is stored that is rounding: of sums, and of stored values."""
    import numpy as np

    if psi.manifest.form.codec == "text10":
        return 1e-9
    return max(1e-12, 10 * float(np.finfo(psi.dtype).eps))
