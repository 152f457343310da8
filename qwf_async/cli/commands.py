"""The commands of `qwf` by group, and where each of them is. Its module is imported when it is asked for."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand

from .coercion import coerce_quickly
from .log_options import log_parameters
from .signed_words import SignedWords

COMMANDS: Final[dict[str, dict[str, str]]] = {
    "Store": {
        "ingest": "Load a source into a wavefunction on the server.",
        "resume": "Bring to the server what waits in the spool, and publish it.",
        "estimate": "Say what a source would take in each layout.",
        "tune": "Find the settings that load a source fastest.",
        "bench": "Measure your own server and disk.",
    },
    "Read": {
        "ls": "List the wavefunctions.",
        "info": "Say what is known of a wavefunction, or of the server.",
        "get": "Print the value at a point, or at many.",
        "slice": "Read a part of a wavefunction.",
        "where": "Print the redis-cli command that reads a point.",
        "observe": "Norm, position, momentum, deviations and energies.",
        "plot": "Draw a wavefunction.",
        "view": "Look at wavefunctions on a page in a browser.",
        "export": "Write a wavefunction to a file.",
    },
    "Keep": {
        "cp": "Copy a wavefunction to another name or server.",
        "mv": "Move a wavefunction to another name or server.",
        "backup": "Write all wavefunctions into a directory.",
        "restore": "Put the wavefunctions of a backup back.",
        "set": "Change the value at one point, in place.",
        "verify": "Compare what is stored with what was written.",
        "rm": "Delete wavefunctions.",
        "clean": "Remove what is expendable.",
        "watch": "Watch the memory of a server, and keep it free.",
    },
    "Studies": {
        "study": "Studies of Optuna: made, listed, carried on and moved.",
    },
    "Server and settings": {
        "server": "The embedded server, and a configuration for your own.",
        "config": "Look at the settings.",
        "doctor": "Say what is fit, what is not, and the cure.",
        "help": "Show a topic of the guide, or the options of a command.",
    },
}
"""Group → command → what a list says of it. A command has the name of its module, and of the function there."""

ABOUT: Final = {name: about for commands in COMMANDS.values() for name, about in commands.items()}
"""Command → what a list says of it."""

FUNCTIONS: Final = {"help": "help_", "slice": "slice_", "set": "set_", "study": "study_app"}
"""Command → its function, or its app of further commands, where that has another name."""


SHORT: Final = frozenset({"get", "info", "ls", "rm", "set", "where"})
"""Commands that multiply no matrices. The threads that OpenBLAS starts with NumPy would cost them 0.1 s of CPU."""


class Deferred(TyperCommand):
    """A command as a list shows it. The command itself is imported, and used instead, once its words are read."""

    def __init__(self, name: str, about: str, group: str) -> None:
        super().__init__(name, help=about, rich_help_panel=group)
        self._loaded: Any = None

    def load(self) -> Any:
        """The command itself, or the group of commands."""
        if self._loaded is None:
            name = str(self.name)
            if name in SHORT:
                os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
            found = getattr(import_module(f".{name}", __package__), FUNCTIONS.get(name, name))
            if isinstance(found, typer.Typer):
                self._loaded = typer.main.get_group(found)
            else:
                alone = typer.Typer(add_completion=False)
                alone.command(name, cls=SignedWords)(found)
                self._loaded = typer.main.get_command(alone)
            leaves = list(getattr(self._loaded, "commands", {"": self._loaded}).values())
            for command in leaves:
                command.params += log_parameters()
            for command in {id(one): one for one in (self._loaded, *leaves)}.values():
                coerce_quickly(command)
        return self._loaded

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        return self.load().make_context(*arguments, **more)


def deferred() -> dict[str, Deferred]:
    """Each command by its name, in the order of the groups."""
    return {
        name: Deferred(name, about, group)
        for group, commands in COMMANDS.items()
        for name, about in commands.items()
    }


def loaded(command: Any) -> Any:
    """The command itself, if it may be deferred."""
    return command.load() if isinstance(command, Deferred) else command
