"""Words of a command line that begin with a minus sign and a digit: they are numbers, never options."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from typer.core import TyperCommand, TyperOption

SIGNED: Final = re.compile(r"-[0-9]")
"""How an index begins that counts from the end: `-4`, or `-1,:,0:3`."""


class SignedWords(TyperCommand):
    """A command whose arguments may be negative numbers: `qwf get free -4`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As of every command, once the arguments stand behind the options, and `--` between them."""
        if any(map(SIGNED.match, args)):
            valued = {
                name
                for parameter in self.params
                if isinstance(parameter, TyperOption) and not (parameter.is_flag or parameter.count)
                for name in parameter.opts
            }
            args = arguments_last(args, valued)
        return super().parse_args(ctx, args)


def arguments_last(words: Sequence[str], valued: Iterable[str]) -> list[str]:
    """The options first, each with its value, then `--` and the arguments; `valued` are the options that have one."""
    options, arguments = [], []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            arguments += left
            break
        if SIGNED.match(word) or not word.startswith("-") or word == "-":
            arguments.append(word)
            continue
        options.append(word)
        # In a word of short options, like -qt, only the last one can take the next word as its value.
        last = word if word.startswith("--") else _last_short(word, valued)
        if last in valued and left:
            options.append(left.pop(0))
    return [*options, "--", *arguments]


def _last_short(word: str, valued: Iterable[str]) -> str:
    """The option whose value the next word is: the last letter of `word`, unless an earlier one takes the rest."""
    letters = [f"-{letter}" for letter in word[1:]]
    return letters[-1] if not any(letter in valued for letter in letters[:-1]) else ""
