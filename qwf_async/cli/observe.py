"""`qwf observe` shows observables of a stored wavefunction, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from .completion import potentials
from .jobs import run_on_store
from .options import JsonOption, NameArgument, QuietOption, ServerOptions, UnitsOption, with_option_groups
from .output import print_json, say
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    from ..lattice.grid import Grid
    from ..lattice.unit_system import UnitSystem
    from ..observables.observed_columns import Observation
    from ..store.store import Store


@with_option_groups
def observe(
    name: NameArgument,
    frame: Annotated[
        int | None, typer.Option("--frame", help="One frame only, by its number.", show_default="all")
    ] = None,
    other: Annotated[
        str | None,
        typer.Option("--with", help="Overlap and fidelity with another wavefunction.", show_default=False),
    ] = None,
    potential: Annotated[
        str | None,
        typer.Option(
            help="For ⟨V⟩ and ⟨H⟩: harmonic:omega=1 or another that evolve knows, or module:function.",
            show_default=False,
            autocompletion=potentials,
        ),
    ] = None,
    g: Annotated[
        float | None,
        typer.Option("--g", help="For ⟨H⟩ of an evolution with the term g|ψ|².", show_default=False),
    ] = None,
    autocorrelation: Annotated[
        bool, typer.Option("--autocorrelation", help="⟨ψ(0)|ψ(t)⟩ with the first frame.")
    ] = False,
    sums: Annotated[
        bool, typer.Option("--sums", help="No momentum and ⟨T⟩: memory of chunks, not of a frame.")
    ] = False,
    marginal: Annotated[
        str | None,
        typer.Option(help="Print the density along x, y or z of one frame instead.", show_default=False),
    ] = None,
    momentum: Annotated[
        bool,
        typer.Option(
            "--momentum", help="Print the density of the momentum; --marginal says along which axis."
        ),
    ] = False,
    at: Annotated[
        str | None,
        typer.Option(
            help="Print the probability to either side of the plane x=0, in the axis's own unit.",
            show_default=False,
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            help="Print the probability within x=5:20,y=-2:2, in the axes' own units.", show_default=False
        ),
    ] = None,
    current: Annotated[
        bool, typer.Option("--current", help="With --at: also the flux of probability through the plane.")
    ] = False,
    spectrum: Annotated[
        bool,
        typer.Option("--spectrum", help="Print energies and their weights, from ⟨ψ(0)|ψ(t)⟩ of all frames."),
    ] = False,
    units: UnitsOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV on standard output.")] = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Norm, ⟨x⟩, ⟨p⟩, their standard deviations σ and energies of each frame; densities, fluxes, spectra.

    \b
    Examples:
      qwf observe packet
      qwf observe trapped --potential harmonic:omega=1 --csv
      qwf observe hydrogen --frame 0 --with other --json
      qwf observe wall --at x=0 --current
      qwf observe trapped --spectrum
    """
    from .observed_rows import Wanted, observed

    if as_json and as_csv:
        raise UsageError("--json and --csv contradict each other: choose one")
    wanted = Wanted(
        name=name,
        frame=frame,
        other=other,
        potential=potential,
        g=g,
        autocorrelation=autocorrelation,
        sums=sums,
        marginal=marginal,
        momentum=momentum,
        at=at,
        region=region,
        current=current,
        spectrum=spectrum,
        units=units,
    )
    wanted.check()
    for_people = not (as_json or as_csv)

    def system_for(grid: Grid) -> UnitSystem:
        from ..lattice.unit_system import HARTREE, system_of

        return system_of(grid, units) if for_people or units is not None else HARTREE

    async def job(store: Store) -> Observation:
        from ..events import progress_of
        from .progress import shown_progress

        points = (await open_stored(store, name)).manifest.grid.points
        with shown_progress(quiet=quiet or wanted.one_frame) as hook:
            return await observed(store, wanted, system_for, progress_of(hook, points))

    found = run_on_store(job, server_options, reading=True, quiet=quiet)
    _print(found, name, system_for(found.grid), as_json=as_json, as_csv=as_csv, quiet=quiet)


def _print(
    found: Observation, name: str, system: UnitSystem, *, as_json: bool, as_csv: bool, quiet: bool
) -> None:
    from ..observables.geometry import in_steps
    from ..observables.observed_columns import converted, unit_of
    from .observed_table import print_observation

    unknown = in_steps(found.grid)
    if as_json:
        print_json(
            {
                "name": name,
                "units": system.name,
                "units_of": {
                    key: unit_of(column, system, unknown)[1] for key, column in found.columns.items()
                },
                "axes_in_grid_steps": list(unknown),
                **found.facts,
                "rows": converted(found.rows, found.columns, system, unknown),
            }
        )
        return
    if unknown and not quiet:
        say(
            f"the spacing along {', '.join(unknown)} is not known: lengths there are in grid steps, momenta in ħ/step"
        )
    if as_csv:
        rows = converted(found.rows, found.columns, system, unknown)
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        print_observation(found, system, unknown)
