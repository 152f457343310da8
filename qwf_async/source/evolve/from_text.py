"""An evolution from its text, `evolve:potential=…,…` of the command line.

evolve:potential=barrier,height=2,width=1,k=2,sigma=1,x0=-10
evolve:potential=harmonic,omega=1,initial=coherent,alpha=2
evolve:potential=my_module:trap,initial=psi.npy,start=1,steps=20,absorb=5

A parameter goes to each part that has one of this name: the evolution itself, the potential, and
the initial state (a Gaussian packet by default). Written `initial.omega=2` it goes to the initial
state alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any, Final

from ...errors import InvalidInput, UsageError
from ...lattice.grid import Grid
from ...lattice.unit_system import HARTREE, UnitSystem
from ...wording import option
from ..analytic import STATES
from ..arguments import arguments, keys_of, words_of
from ..base import Source
from ..callable import open_function
from ..formats.files import files
from ..formats.locator import locate
from ..parameters import Energy, Interaction, Length, Mass, Number, Time, Word
from ..words import EVOLVE, unknown_source
from .evolution import ACCURACY, Evolve
from .evolving import evolve
from .initial import InitialFrame, frame_of, initial_of, placed
from .potentials import POTENTIALS, read_potential

Maker = Callable[..., Any]

NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""What can be the name of a stored wavefunction."""

INITIAL_PREFIX: Final = "initial."
"""The prefix of a parameter that goes to the initial state alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInitial:
    """The name of a stored wavefunction with which an evolution begins, and what chooses its frame."""

    name: str
    frame: int | None
    start: float | None


def stored_initial(text: str, units: UnitSystem = HARTREE) -> StoredInitial | None:
    """The stored wavefunction with which the evolution after `evolve:` begins; None if it begins with something else.

    A word that is no state, no file and no module:function is the name of one; times are in
    `units`. Raises InvalidInput for a frame or a time that cannot be read.
    """
    words = words_of(EVOLVE, ",".join(filter(None, text.split(","))))
    state = words.get("initial", "")
    if state in STATES or locate(state) is not None or not NAME.fullmatch(state):
        return None
    chosen = ",".join(f"{key}={words[key]}" for key in ("frame", "start") if key in words)
    options = arguments(EVOLVE, own_parameters, chosen, units=units)
    return StoredInitial(name=state, frame=options.get("frame"), start=options.get("start"))


def read_evolution(
    text: str,
    points: Grid,
    *,
    sized: bool = True,
    extents: tuple[float, ...] | None = None,
    dims: str | None = None,
    stored: InitialFrame | None = None,
    units: UnitSystem = HARTREE,
) -> Evolve:
    """The evolution that the text after `evolve:` stands for, on a grid of these points.

    `sized`: the user has said how many points; else they are those of the initial state's data. Over
    `extents` (bohr) data lie that do not say where they lie. `dims`: which dimension of the initial
    state's file is which axis. `stored` is the frame that `stored_initial` names. Numbers in
    the text are in `units`. Raises InvalidInput
    for a part or parameter that is unknown, a value that cannot be read, or data on another grid, and
    UsageError for `dims` if the initial state is no file.
    """
    words = words_of(EVOLVE, ",".join(filter(None, text.split(","))))
    kind = words.pop("potential", "free")
    state = words.pop("initial", "gaussian")
    own: Maker = own_parameters
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
    texts = {
        make: (name, make, ",".join(f"{key}={value}" for key, value in part_words.items()))
        for name, make, part_words in parts
    }
    made = {make: arguments(*three, units=units) for make, three in texts.items()}
    options: dict[str, Any] = made[own]
    chosen = {name: options.pop(name, None) for name in ("frame", "start")}
    potential = trap(**made[trap]) if trap else read_potential(kind)
    initial: Source
    frames, dt = points.shape[0], points.axes[0].step
    is_file = packet is None and locate(state) is not None
    if dims is not None and not is_file:
        raise UsageError(f"{option('dims')} cannot be given for evolve:{text}: its initial state is no file")
    if packet is not None:
        initial = initial_of(packet(**made[packet], grid=points), **chosen)
    elif is_file:
        data = files(state, dims=dims)
        try:
            initial = _placed(frame_of(data, **chosen, spec=state), points if sized else None, extents)
        except BaseException:
            data.close()
            raise
    elif stored is not None:
        initial = _placed(stored, points if sized else None, extents)
    elif stored_initial(text) is not None:
        raise InvalidInput(
            f"{unknown_source(state)}; a stored wavefunction of that name is opened with its store: qwf ingest, or "
            "qwf_async.stored_frame"
        )
    else:
        initial = initial_of(open_function(state, points), **chosen)
    if "g" in options:  # its unit is known only now: it depends on the number of dimensions
        options["g"] = arguments(*texts[own], units=units, dimensions=initial.grid.dimensions)["g"]
    return evolve(initial, potential, frames=frames, dt=dt, **options)


def _placed(frame: InitialFrame, points: Grid | None, extents: tuple[float, ...] | None) -> InitialFrame:
    return replace(frame, grid=placed(frame.grid, points, extents, frame.spec))


def own_parameters(
    *,
    steps: int = 0,
    accuracy: float = ACCURACY,
    absorb: Length = 0.0,
    strength: Energy = 0.0,
    g: Interaction = 0.0,
    mass: Mass = None,
    start: Time = None,
    frame: Number = None,
    fft: Word = "auto",
) -> None:
    """The parameters that the evolution itself has on the command line."""


def _takes(make: Callable[..., Any], key: str) -> bool:
    return any(key in keys_of(name) for name in signature(make).parameters if name != "grid")
