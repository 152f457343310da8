"""An evolution from its text, `evolve:potential=…,…` of the command line.

evolve:potential=barrier,height=2,width=1,k=2,sigma=1,x0=-10
evolve:potential=harmonic,omega=1,initial=coherent,alpha=2
evolve:potential=my_module:trap,initial=psi.npy,steps=20,absorb=5

A parameter goes to each part that has one of this name: the evolution itself, the potential, and
the initial state (a Gaussian packet by default). Written `initial.omega=2` it goes to the initial
state alone.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, Final

from ...errors import InvalidInput, UsageError
from ...lattice.grid import Grid
from ...wording import option
from ..analytic import STATES
from ..arguments import arguments, keys_of, words_of
from ..base import Source
from ..callable import open_function
from ..formats.files import files
from ..formats.locator import locate
from ..parameters import Mass
from ..words import EVOLVE
from .evolution import ACCURACY, Evolve
from .evolving import evolve
from .potentials import POTENTIALS, read_potential

Maker = Callable[..., Any]

INITIAL_PREFIX: Final = "initial."
"""The prefix of a parameter that goes to the initial state alone."""


def read_evolution(text: str, points: Grid, *, dims: str | None = None) -> Evolve:
    """The evolution that the text after `evolve:` stands for, on a grid of these points.

    `dims`: which dimension of the initial state's file is which axis. Raises InvalidInput for a
    part or parameter that is unknown, or a value that cannot be read, UsageError for `dims` if
    the initial state is no file.
    """
    words = words_of(EVOLVE, ",".join(filter(None, text.split(","))))
    kind = words.pop("potential", "free")
    state = words.pop("initial", "gaussian")
    own: Maker = _options
    trap, packet = POTENTIALS.get(kind), STATES.get(state)
    for_state = {key: value for key, value in words.items() if key.startswith(INITIAL_PREFIX)}
    taken = set(for_state)
    parts: list[tuple[str, Maker, dict[str, str]]] = []
    makers: dict[str, Maker | None] = {"evolve": own, f"potential {kind}": trap, state: packet}
    for name, make in makers.items():
        if make is None:
            continue
        part_words = {key: value for key, value in words.items() if _takes(make, key)}
        taken |= set(part_words)
        if name == state:
            part_words |= {key.removeprefix(INITIAL_PREFIX): value for key, value in for_state.items()}
        parts.append((name, make, part_words))
    if unknown := [key for key in words if key not in taken]:
        accepted = sorted({name for _, make, _ in parts for name in signature(make).parameters} - {"grid"})
        raise InvalidInput(
            f"evolve has no parameter {unknown[0]!r}; with this potential and initial state it takes "
            f"potential, initial, {', '.join(accepted)}"
        )
    made = {
        make: arguments(name, make, ",".join(f"{key}={value}" for key, value in part_words.items()))
        for name, make, part_words in parts
    }
    options: dict[str, Any] = made[own]
    potential = trap(**made[trap]) if trap else read_potential(kind)
    initial: Source
    frames = dt = None  # a state has both from its grid, and a time step of its own if none is given
    is_file = packet is None and locate(state) is not None
    if dims is not None and not is_file:
        raise UsageError(f"{option('dims')} cannot be given for evolve:{text}: its initial state is no file")
    if packet is not None:
        initial = packet(**made[packet], grid=points)
    elif is_file:
        initial = _from_file(state, points, dims)
        frames, dt = points.shape[0], points.axes[0].step
    else:
        initial = open_function(state, points)
    return evolve(initial, potential, frames=frames, dt=dt, **options)


def _options(
    *,
    steps: int = 0,
    accuracy: float = ACCURACY,
    absorb: float = 0.0,
    strength: float = 0.0,
    g: float = 0.0,
    mass: Mass = None,
) -> None:
    """The parameters that the evolution itself has on the command line."""


def _takes(make: Callable[..., Any], key: str) -> bool:
    return any(key in keys_of(name) for name in signature(make).parameters if name != "grid")


def _from_file(path: str, points: Grid, dims: str | None) -> Source:
    """An initial state from a file, laid over the extents of `points`."""
    edges = [n * (a.step or 0.0) for n, a in zip(points.shape[1:], points.axes[1:], strict=True)]
    known = points.axes[1].step is not None
    source = files(path, dims=dims, box=edges[: points.dimensions] if known else None)
    if source.grid.shape[1:] != points.shape[1:]:
        sizes = "x".join(map(str, source.grid.shape[1:]))
        source.close()
        raise InvalidInput(f"initial={path} has {sizes} points a frame: give {option('grid', sizes)}")
    return source
