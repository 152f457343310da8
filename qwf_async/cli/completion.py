"""What a shell is offered: names that are stored, sources and their parameters, potentials.

Each function is asked by typer when somebody presses the key for completion. It says nothing where
anything fails, starts no server, and gives a server about a second.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any, Final

import typer

PATIENCE: Final = 1.0
"""Seconds that a server is given."""

BREAKS: Final = (":", "=")
"""Characters at which bash breaks a word, and passes each as a word of its own."""


def stored_names(context: typer.Context, incomplete: str) -> list[str]:
    """The names on the server that the options or the settings name, those that begin so; empty at any failure."""
    names: list[str] = []
    with suppress(Exception):
        names = _names_on_server(context.params)
    return [name for name in names if name.startswith(incomplete)]


def sources(incomplete: str) -> list[str]:
    """Sources that begin so: files, the words of states, `evolve:` and `eigen:`, and after the colon parameters."""
    word, colon, rest = incomplete.partition(":")
    offered: Iterable[str] = ()
    with suppress(Exception):
        if colon:
            head, comma, last = rest.rpartition(",")
            offered = (f"{word}:{head}{comma}{value}" for value in _parameters(word, head, last))
        else:
            from ..source.analytic import STATES
            from ..source.words import EIGEN, EVOLVE, OLD_HASH

            states = (text for state in STATES for text in (state, f"{state}:"))
            offered = [
                *states,
                f"{EVOLVE}:potential=",
                f"{EIGEN}:potential=",
                f"{OLD_HASH}:",
                *_files(incomplete),
            ]
        return [text for text in offered if text.startswith(incomplete)]
    return []


def potentials(incomplete: str) -> list[str]:
    """The built-in potentials that begin so, and after a colon their parameters."""
    from ..source.evolve.potentials import POTENTIALS

    name, colon, rest = incomplete.partition(":")
    if not colon:
        return [known for known in POTENTIALS if known.startswith(incomplete)]
    head, comma, last = rest.rpartition(",")
    keys = (f"{key}=" for key in _fields_of(name) if f"{key}=" not in head)
    return [f"{name}:{head}{comma}{key}" for key in keys if key.startswith(last)]


def _names_on_server(options: Mapping[str, Any]) -> list[str]:
    from anyio import CancelScope, current_time, run

    from ..catalog.index import known_names
    from ..client.address import Address
    from ..client.tls import TLSFiles
    from ..settings import load
    from ..store.connecting import pool_to

    given = {name: options.get(name) for name in ("url", "data_dir", "password_file", "node_map")}
    settings = load(options.get("config"), warn=lambda text: None, **given)
    if settings.url is None:
        from ..embedded.data_dir import DataDir
        from ..embedded.shards import shards_of

        places = [DataDir.of(place).socket for place in shards_of(settings.data_dir)]
        address = Address.of_shards([Address.parse(str(place)) for place in places])
    else:
        tls = TLSFiles(ca=settings.tls_ca, cert=settings.tls_cert, key=settings.tls_key)
        address = Address.parse(settings.url, password=settings.password, tls=tls)

    async def job() -> list[str]:
        pool = pool_to(address, settings)
        try:
            with CancelScope(deadline=current_time() + PATIENCE):
                return await known_names(pool, settings.prefix)
            return []
        finally:
            await pool.aclose()

    return run(job)


def _files(incomplete: str) -> Iterator[str]:
    """Files and directories that begin so; a directory ends with a slash."""
    folder, name = os.path.split(incomplete)
    for entry in sorted(Path(folder or ".").iterdir()):
        if entry.name.startswith(name or entry.name.lstrip(".")):
            yield os.path.join(folder, entry.name) + ("/" if entry.is_dir() else "")


def _parameters(word: str, head: str, last: str) -> Iterator[str]:
    """What may stand behind `word:head,`, where `last` has been typed: names of parameters, or words as values."""
    from ..source.analytic import STATES
    from ..source.evolve.potentials import POTENTIALS

    given = dict(text.partition("=")[::2] for text in head.split(",") if text)
    name, equals, _ = last.partition("=")
    if equals:
        words = {"potential": POTENTIALS, "initial": STATES}.get(name, ())
        yield from (f"{name}={value}" for value in words)
        return
    yield from (f"{key}=" for key in _keys(word, given) if key not in given)


def _keys(word: str, given: Mapping[str, str]) -> list[str]:
    """The parameters that a source takes whose others are given."""
    from inspect import signature

    from ..source.analytic import STATES
    from ..source.words import EIGEN, EVOLVE

    def names(function: Callable[..., Any]) -> list[str]:
        return [name for name in signature(function).parameters if name != "grid"]

    if word in STATES:
        return names(STATES[word])
    potential = _fields_of(given.get("potential", ""))
    if word == EIGEN:
        from ..source.stationary import from_text as eigen

        return ["potential", *names(eigen.own_parameters), *potential]
    if word == EVOLVE:
        from ..source.evolve import from_text as evolution

        initial = STATES.get(given.get("initial", "gaussian"))
        keys = [
            "potential",
            "initial",
            *names(evolution.own_parameters),
            *potential,
            *(names(initial) if initial else []),
        ]
        return list(dict.fromkeys(keys))
    return []


def _fields_of(potential: str) -> list[str]:
    from dataclasses import fields

    from ..source.evolve.potentials import POTENTIALS

    return [field.name for field in fields(POTENTIALS[potential])] if potential in POTENTIALS else []


@contextmanager
def words_of_bash() -> Iterator[None]:
    """Within this, typer completes whole words for bash, and prints of each the rest after the last break.

    bash breaks words at BREAKS, so `hydrogen:n` comes as three words, and only the last is replaced.
    """
    asked = any(
        os.environ.get(f"_{name}_COMPLETE") == "complete_bash" for name in ("QWF", "QUANTUM_WAVEFUNC")
    )
    if not asked or "COMP_WORDS" not in os.environ:
        yield
        return
    parts = os.environ["COMP_WORDS"].split(" ")
    count = int(os.environ.get("COMP_CWORD", "0")) + 1
    parts = [*parts[:count], *[""] * (count - len(parts))]
    words: list[str] = []
    for part in parts:
        glued = bool(words) and len(words) > 1 and (part in BREAKS or words[-1].endswith(BREAKS))
        if glued and not part.startswith("-"):
            words[-1] += part
        else:
            words.append(part)
    before = {name: os.environ[name] for name in ("COMP_WORDS", "COMP_CWORD") if name in os.environ}
    os.environ |= {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    cut = max((words[-1].rfind(character) for character in BREAKS), default=-1) + 1
    told = StringIO()
    try:
        with redirect_stdout(told):
            yield
    finally:
        os.environ |= before
        for line in told.getvalue().splitlines():
            typer.echo(line[cut:])
