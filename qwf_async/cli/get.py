"""`qwf get` prints ψ at a point, or at many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .jobs import run_on_store
from .options import JsonOption, NameArgument, QuietOption, ServerOptions, with_option_groups
from .output import print_json, show
from .point_list import read_points
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    from ..store.store import Store


@with_option_groups
def get(
    name: NameArgument,
    x: Annotated[int | None, typer.Argument(help="Index along x.", show_default=False)] = None,
    y: Annotated[int, typer.Argument(help="Index along y.")] = 0,
    z: Annotated[int, typer.Argument(help="Index along z.")] = 0,
    t: Annotated[int, typer.Option("--t", "-t", help="Index along t.")] = 0,
    points: Annotated[
        Path | None,
        typer.Option(
            "--points",
            metavar="FILE",
            help="Many points, one a line: x y z t, with blanks or commas between; "
            "what is left out is 0. From standard input if it is -.",
            show_default=False,
        ),
    ] = None,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Print ψ at a point or at many, with modulus, probability density |ψ|² and phase (radians).

    \b
    Example: qwf get hydrogen 60 48 60
    """
    if (x is None) == (points is None):
        raise typer.BadParameter("give the indices x y z of one point, or --points with a file of many")
    indices = [(x, y, z, t)] if x is not None else read_points(points)

    async def job(store: Store) -> list[complex]:
        psi = await open_stored(store, name)
        if points is None:
            return [await psi.point(*indices[0])]
        return list(map(complex, await psi.read_points(indices)))

    values = run_on_store(job, server_options, quiet=quiet)
    from ..observables import of_value

    rows = [
        {"x": x, "y": y, "z": z, "t": t, "re": value.real, "im": value.imag, **of_value(value)}
        for (x, y, z, t), value in zip(indices, values, strict=True)
    ]
    if as_json:
        print_json(rows)
        return
    for row, value in zip(rows, values, strict=True):
        if quiet:
            show(f"{value.real!r},{value.imag!r}")
            continue
        index = "" if points is None else f"{row['x']} {row['y']} {row['z']} {row['t']}  "
        show(
            f"{index}{value.real!r} {value.imag:+}i  |ψ| {row['modulus']:.10g}  "
            f"|ψ|² {row['density']:.10g}  phase {row['phase']:.10g}"
        )
