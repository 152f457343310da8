"""`qwf help` shows a topic of the guide. The topics are the Markdown files in `qwf_async/help`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from ..wording import quoted
from .options import JsonOption
from .output import print_json, show

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def help_(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TOPIC",
            help="A topic, or a command. Without one, the topics are listed.",
            show_default=False,
            autocompletion=lambda incomplete: [topic for topic in _topics() if topic.startswith(incomplete)],
        ),
    ] = None,
    *,
    raw: Annotated[bool, typer.Option("--raw", help="Print a topic as the Markdown that it is.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a topic of the guide, or the options of a command.

    \b
    Examples:
      qwf help
      qwf help keys
      qwf help server conf
    """
    topics = _topics()
    if not words:
        _print_list(topics, as_json=as_json)
    elif words[1:] or words[0] not in topics:
        _show_options(context, words, topics, plain=not (raw or as_json))
    elif as_json:
        print_json({"topic": words[0], "markdown": topics[words[0]].read_text("utf-8")})
    else:
        _print_topic(topics[words[0]].read_text("utf-8"), raw=raw)


def _topics() -> dict[str, Traversable]:
    """The file of each topic by the topic's name, in alphabetical order."""
    from importlib.resources import files

    topics = {
        entry.name.removesuffix(".md"): entry
        for entry in files("qwf_async").joinpath("help").iterdir()
        if entry.name.endswith(".md")
    }
    return dict(sorted(topics.items()))


def _print_list(topics: dict[str, Traversable], *, as_json: bool) -> None:
    """A line for each topic: its name, and what stands after the name in the first line of its file."""
    about = {
        topic: file.read_text("utf-8").partition("\n")[0].partition(": ")[2] for topic, file in topics.items()
    }
    if as_json:
        print_json([{"topic": topic, "about": line} for topic, line in about.items()])
        return
    for topic, line in about.items():
        show(f"{topic:{max(map(len, about))}}  {line}")
    show("")
    show("qwf help TOPIC shows a topic, and qwf help COMMAND the options of a command.")


def _print_topic(text: str, *, raw: bool) -> None:
    if raw:
        typer.echo(text, nl=False)
        return
    from rich.console import Console

    console = Console()
    if not console.encoding.lower().startswith("utf"):  # rich draws bullets and lines that are beyond ASCII
        sys.stdout.write(text)
        return
    from rich.markdown import Markdown

    console.print(Markdown(text, code_theme="ansi_dark"))


def _show_options(
    context: typer.Context, words: list[str], topics: dict[str, Traversable], *, plain: bool
) -> None:
    """What `--help` of a command prints. Raises UsageError if there is no such command, or not `plain`."""
    root = context.find_root().command
    commands = dict(_commands(root))
    name = " ".join(words)
    if name not in commands:
        from difflib import SequenceMatcher

        nearest = max((*topics, *commands), key=lambda known: SequenceMatcher(None, name, known).ratio())
        raise UsageError(
            f"there is no topic or command {quoted(name)}: the nearest is {nearest!r}, and 'qwf help' lists the topics"
        )
    if not plain:
        raise UsageError(f"{name!r} is a command, and --raw and --json are for topics")
    root.main([*words, "--help"], prog_name="qwf")


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its words, groups included."""
    for word, command in getattr(group, "commands", {}).items():
        yield before + word, command
        yield from _commands(command, f"{before}{word} ")
