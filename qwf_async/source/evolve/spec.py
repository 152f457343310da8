"""The text of an evolution, as it can be given on the command line."""

from __future__ import annotations

from collections.abc import Mapping

from ..analytic import STATES
from .potentials import Potential


def spec_text(initial: str, potential: Potential, options: Mapping[str, str]) -> str:
    """The text of an evolution of `initial`, a SOURCE, with the parameters of the evolution itself.

    A parameter of the potential or the evolution also goes to a state that has one of its name. So
    what the state has alike is left out, and what it has of its own is written as `initial.KEY`.
    """
    kind, _, parameters = initial.partition(":")
    theirs = dict(word.partition("=")[::2] for word in parameters.split(",")) if kind in STATES else {}
    if theirs and "mass" in options:
        theirs.setdefault("mass", "1")
    shared = {**potential.parameters, **{key: text for key, text in options.items() if key == "mass"}}
    words = [f"potential={potential.name if potential.parameters else potential.spec}"]
    words += [f"{key}={text}" for key, text in potential.parameters.items()]
    words += [f"initial={kind if theirs else initial}"]
    words += [
        f"{'initial.' if key in shared else ''}{key}={text}"
        for key, text in theirs.items()
        if shared.get(key) != text
    ]
    return "evolve:" + ",".join(words + [f"{key}={text}" for key, text in options.items()])
