"""`qwf get` prints ψ at a point, or at many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from .jobs import run_on_store
from .options import JsonOption, NameArgument, QuietOption, ServerOptions, with_option_groups
from .output import print_json, say, show
from .point import AtOption, FoundPoint, PointRequest, TOption, XArgument, YArgument, ZArgument
from .point_list import read_points
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    from ..store.store import Store


@with_option_groups
def get(
    name: NameArgument,
    x: XArgument = None,
    y: YArgument = None,
    z: ZArgument = None,
    t: TOption = None,
    at: AtOption = None,
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
    Examples:
      qwf get hydrogen 60 48 60
      qwf get hydrogen -1 0 -48
      qwf get hydrogen --at x=5,y=0,z=5
    """
    if x is None and at is None and points is None:
        raise UsageError(
            "give the indices x y z of a point, or --at x=-4.0,y=0, or --points with a file of many"
        )
    if points is None:
        request = PointRequest.read(x, y, z, t, at)
    elif x is not None or at is not None:
        raise UsageError("--points has points of its own: give it without x y z and --at")
    else:
        listed = read_points(points)

    async def job(store: Store) -> tuple[list[FoundPoint], list[complex]]:
        psi = await open_stored(store, name)
        grid = psi.manifest.grid
        if points is None:
            point = request.on(grid)
            return [point], [await psi.point(*point.xyzt)]
        values = await psi.read_points(listed)
        return [FoundPoint.of(grid.index(*point)) for point in listed], list(map(complex, values))

    found, values = run_on_store(job, server_options, reading=True, quiet=quiet)
    from ..observables import of_value

    rows = [
        point.to_json() | {"re": value.real, "im": value.imag, **of_value(value)}
        for point, value in zip(found, values, strict=True)
    ]
    if as_json:
        print_json(rows)
        return
    if found[0].text and not quiet:
        say(f"at {found[0].text}")
    for row, value in zip(rows, values, strict=True):
        if quiet:
            show(f"{value.real!r},{value.imag!r}")
            continue
        index = "" if points is None else f"{row['x']} {row['y']} {row['z']} {row['t']}  "
        show(
            f"{index}{value.real!r} {value.imag:+}i  |ψ| {row['modulus']:.10g}  "
            f"|ψ|² {row['density']:.10g}  phase {row['phase']:.10g}"
        )
