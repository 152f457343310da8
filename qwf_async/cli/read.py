"""`qwf get` and `slice`: values of a stored wavefunction."""

from __future__ import annotations

import sys
import time
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..errors import InvalidInput, UsageError
from ..exporting.whole_file import check_free
from .options import Json, Name, Overwrite, Quiet, Where, on_server
from .resume import open_stored
from .runner import on_store, print_json, say, show

if TYPE_CHECKING:
    from ..store.store import Store
    from ..store.wavefunction import Wavefunction

PRINTED: Final = 10_000
"""Points that `slice` prints; more go to a file."""

MAX_POINTS: Final = 1_000_000
"""Points that `get --points` takes: about 1 GB of memory, for each is printed with its words."""

LINE_BYTES: Final = 1000
"""Bytes of a line of points, at most, its end included."""

QUOTED: Final = 60
"""Bytes of such a line that a message shows."""


@on_server
def get(
    name: Name,
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
    where: Where,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print ψ at a point or at many, with modulus, probability density |ψ|² and phase (radians).

    \b
    Example: qwf get hydrogen 60 48 60
    """
    if (x is None) == (points is None):
        raise typer.BadParameter("give the indices x y z of one point, or --points with a file of many")
    wanted = [(x, y, z, t)] if x is not None else _points(points)

    async def job(store: Store) -> list[complex]:
        psi = await open_stored(store, name)
        if points is None:
            return [await psi.point(*wanted[0])]
        return list(map(complex, await psi.read_points(wanted)))

    values = on_store(job, where, quiet=quiet)
    from ..observables import of_value

    found = [
        {"x": x, "y": y, "z": z, "t": t, "re": value.real, "im": value.imag, **of_value(value)}
        for (x, y, z, t), value in zip(wanted, values, strict=True)
    ]
    if as_json:
        print_json(found)
        return
    for point, value in zip(found, values, strict=True):
        if quiet:
            show(f"{value.real!r},{value.imag!r}")
            continue
        place = "" if points is None else f"{point['x']} {point['y']} {point['z']} {point['t']}  "
        show(
            f"{place}{value.real!r} {value.imag:+}i  |ψ| {point['modulus']:.10g}  "
            f"|ψ|² {point['density']:.10g}  phase {point['phase']:.10g}"
        )


@on_server
def cut(
    name: Name,
    index: Annotated[
        str,
        typer.Argument(
            help="t,x,y,z as in NumPy: integers, first:stop:step, and ... for whole axes. "
            "Put -- before one that begins with a minus sign.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write a .npy file.", show_default=False),
    ] = None,
    overwrite: Overwrite = False,
    *,
    where: Where,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read a part of a wavefunction into a .npy file; or print a small one, a line re,im for each point in C order.

    \b
    Example: qwf slice hydrogen 0,10:20,:,64 -o plane.npy
    """
    parsed = _index(index)
    if out is not None:
        check_free(out, overwrite=overwrite)

    async def job(store: Store) -> dict[str, Any]:
        from ..lattice.selection import Selection

        psi = await open_stored(store, name)
        selection = Selection.of(psi.manifest.grid.shape, parsed)
        if out is not None:
            return await _to_file(psi, selection, out, quiet=quiet)
        if selection.points > PRINTED:
            raise UsageError(
                f"{selection.points:,} points are more than are printed ({PRINTED:,}): give -o FILE.npy"
            )
        values = (await psi.read_selection(selection)).reshape(-1)
        return {"shape": selection.shape, "re": values.real.tolist(), "im": values.imag.tolist()}

    facts = on_store(job, where, quiet=quiet)
    if as_json:
        print_json(facts)
    elif out is not None:
        tell(facts, quiet=quiet)
    else:
        for re, im in zip(facts["re"], facts["im"], strict=True):
            show(f"{re!r},{im!r}")


async def _to_file(psi: Wavefunction, selection: Any, out: Path, *, quiet: bool) -> dict[str, Any]:
    from .npyfile import write_npy
    from .progress import shown_progress

    begun = time.monotonic()
    with shown_progress(quiet=quiet) as hook:
        await write_npy(out, psi, selection, hook)
    seconds = time.monotonic() - begun
    return {
        "file": str(out),
        "shape": list(selection.shape),
        "dtype": psi.dtype.name,
        "points": selection.points,
        "seconds": seconds,
        "points_per_s": selection.points / seconds,
    }


def tell(facts: dict[str, Any], *, quiet: bool) -> None:
    """Say what was written, unless `quiet`."""
    if not quiet:
        shape = "×".join(map(str, facts["shape"])) or "one point"
        say(
            f"wrote {facts['file']}: {facts['points']:,} points ({shape}, {facts['dtype']}) in "
            f"{facts['seconds']:.2f} s, {facts['points_per_s']:,.0f} points/s"
        )


def _index(text: str) -> tuple[Any, ...]:
    """An index as it is written in NumPy. Raises UsageError if it is not one."""
    return tuple(map(partial(_item, text), text.split(",")))


def _item(text: str, item: str) -> Any:
    if item.strip() == "...":
        return ...
    parts = item.split(":")
    try:
        bounds = [int(part) if part.strip() or len(parts) == 1 else None for part in parts]
    except ValueError:
        bounds = []
    if not 1 <= len(bounds) <= 3:
        raise UsageError(
            f"{item!r} in {text!r} is no index: write t,x,y,z with integers, first:stop:step or ..."
        )
    return bounds[0] if len(bounds) == 1 else slice(*bounds)


def _points(path: Path | None) -> list[tuple[int, int, int, int]]:
    """The points of a file, or of standard input if it is `-`: x, y, z, t of each line that is not empty."""
    where = "standard input" if str(path) == "-" else str(path)
    points = []
    try:
        with sys.stdin.buffer if str(path) == "-" else Path(str(path)).open("rb") as file:
            # Line by line, each bounded: what is piped in by mistake must not fill the memory.
            for number in count(1):
                line = file.readline(LINE_BYTES)
                if not line:
                    break
                if (point := _point(line, f"{where}, line {number}")) is not None:
                    points.append(point)
                if len(points) > MAX_POINTS:
                    raise InvalidInput(
                        f"{where} holds more than {MAX_POINTS:,} points: 'qwf slice' reads regions"
                    )
    except OSError as error:
        raise InvalidInput(f"cannot read points from {where}: {error.strerror}") from error
    if not points:
        raise InvalidInput(f"{where} holds no points: write x y z t, one point a line")
    return points


def _point(line: bytes, place: str) -> tuple[int, int, int, int] | None:
    """x, y, z, t of a line; None for one that is empty. Raises InvalidInput for what is none."""
    words = line.replace(b",", b" ").split()
    try:
        # One that is too long was cut, perhaps in the middle of a number.
        numbers = [int(word) for word in words] if len(line) < LINE_BYTES and len(words) <= 4 else None
    except ValueError:
        numbers = None
    if numbers is None:
        text = line.strip()[:QUOTED].decode("utf-8", "backslashreplace")
        quoted = f"{text!r}" + ("…" if len(line) > QUOTED else "")
        raise InvalidInput(f"{place}: {quoted} is not x y z t, one to four integers")
    x, y, z, t = (*numbers, 0, 0, 0, 0)[:4]
    return (x, y, z, t) if numbers else None
