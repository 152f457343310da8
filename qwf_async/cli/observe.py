"""`qwf observe` shows observables of a stored wavefunction, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInput, UsageError
from .jobs import run_on_store
from .options import JsonOption, NameArgument, QuietOption, ServerOptions, with_option_groups
from .output import print_json, say
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    from ..lattice.grid import Grid
    from ..store.store import Store

ObservableRow = Mapping[str, float | None]

HEADS = {
    "sigma_x": "σx", "sigma_y": "σy", "sigma_z": "σz",
    "p_x": "px", "p_y": "py", "p_z": "pz",
    "sigma_p_x": "σpx", "sigma_p_y": "σpy", "sigma_p_z": "σpz",
    "sigma_x_sigma_p_x": "σx·σpx", "sigma_y_sigma_p_y": "σy·σpy", "sigma_z_sigma_p_z": "σz·σpz",
    "kinetic": "⟨T⟩", "potential": "⟨V⟩", "energy": "⟨H⟩",
}  # fmt: skip
"""Name of an observable in JSON and CSV → the head of its column in the table, where they differ."""


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
        ),
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
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV on standard output.")] = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Norm, ⟨x⟩, ⟨p⟩, their standard deviations σ and energies of each frame, in Hartree atomic units.

    \b
    Examples:
      qwf observe packet
      qwf observe trapped --potential harmonic:omega=1 --csv
      qwf observe hydrogen --frame 0 --with other --json
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv contradict each other: choose one")
    if marginal is not None and marginal not in ("x", "y", "z"):
        raise UsageError(f"--marginal {marginal!r} is no axis: x, y or z")
    if marginal is not None and (other or potential or autocorrelation or sums):
        raise UsageError("--marginal goes with --frame only: it prints a density, not observables")

    async def job(store: Store) -> tuple[str, list[ObservableRow]]:
        from ..events import progress_of
        from ..observables.geometry import in_steps
        from ..source import read_potential
        from ..store.observing import observe as stream
        from .progress import shown_progress

        grid = (await open_stored(store, name)).manifest.grid
        if potential is not None and in_steps(grid):
            raise InvalidInput(
                f"the spacing of {name} along {', '.join(in_steps(grid))} is not known, and a potential needs it: "
                "ingest it with --box"
            )
        if other is not None:
            await open_stored(store, other)
        if marginal is not None:
            return in_steps(grid), await _density(store, name, grid, "xyz".index(marginal), frame or 0)
        with shown_progress(quiet=quiet or frame is not None) as hook:
            observed = stream(
                store,
                name,
                frames=None if frame is None else [frame],
                potential=None if potential is None else read_potential(potential),
                other=other,
                autocorrelation=autocorrelation,
                sums_only=sums,
                done=progress_of(hook, grid.points),
            )
            return in_steps(grid), [row.to_json() async for row in observed]

    unknown, rows = run_on_store(job, server_options, quiet=quiet)
    if as_json:
        print_json({"name": name, "units": "hartree", "axes_in_grid_steps": list(unknown), "rows": rows})
        return
    if unknown and not quiet:
        say(
            f"the spacing along {', '.join(unknown)} is not known: lengths there are in grid steps, momenta in ħ/step"
        )
    if as_csv:
        _print_csv(rows)
    else:
        _print_table(rows)


async def _density(store: Store, name: str, grid: Grid, axis: int, frame: int) -> list[ObservableRow]:
    """The probability density along an axis (0 is x) of one frame, a row a point."""
    from ..observables.geometry import coordinates
    from ..store.observing import marginals

    if axis >= grid.dimensions:
        raise InvalidInput(
            f"{name} lies along {'xyz'[: grid.dimensions]} only: no density along {'xyz'[axis]}"
        )
    densities = await marginals(store, name, frame)
    x_values = coordinates(grid, axis + 1, 0, grid.shape[axis + 1])
    return [
        {"xyz"[axis]: x, "density": rho}
        for x, rho in zip(x_values.tolist(), densities[axis].tolist(), strict=True)
    ]


def _print_csv(rows: Sequence[ObservableRow]) -> None:
    writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _print_table(rows: Sequence[ObservableRow]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
    for key in rows[0]:
        table.add_column(HEADS.get(key, key), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(_shown, row.values()))
    # Wider than the terminal if need be: a line that is cut loses numbers, a line that the terminal wraps does not.
    Console(width=40 + 16 * len(rows[0])).print(table, soft_wrap=True)


def _shown(value: Any) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.6g}"
