"""`qwf help` shows a topic of the guide. The topics are the Markdown files in `qwf_async/help`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from ..wording import quoted
from .commands import ABOUT, COMMANDS, loaded
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
            help="A topic, or a command. Without one, both are listed.",
            show_default=False,
            autocompletion=lambda incomplete: [
                word for word in (*_topics(), *ABOUT) if word.startswith(incomplete)
            ],
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
    """A line for each command, group by group, and one for each topic: what the first line of its file says."""
    about = {
        topic: file.read_text("utf-8").partition("\n")[0].partition(": ")[2] for topic, file in topics.items()
    }
    if as_json:
        commands = [
            {"command": name, "group": group, "about": line}
            for group, lines in COMMANDS.items()
            for name, line in lines.items()
        ]
        listed = [{"topic": topic, "about": line} for topic, line in about.items()]
        print_json({"commands": commands, "topics": listed})
        return
    width = max(map(len, (*ABOUT, *about)))
    for title, lines in {**COMMANDS, "Topics": about}.items():
        show(title)
        for word, line in lines.items():
            show(f"  {word:{width}}  {line}")
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
    if not _is_command(root, words):
        from difflib import SequenceMatcher

        name, known = " ".join(words), (*topics, *_commands(root))
        nearest = max(known, key=lambda one: SequenceMatcher(None, name, one).ratio())
        raise UsageError(
            f"there is no topic or command {quoted(name)}: the nearest is {nearest!r}, and 'qwf help' lists them"
        )
    if not plain:
        raise UsageError(f"{' '.join(words)!r} is a command, and --raw and --json are for topics")
    root.main([*words, "--help"], prog_name="qwf")


def _is_command(group: Any, words: list[str]) -> bool:
    command = group
    for word in words:
        command = loaded(getattr(command, "commands", {}).get(word))
    return command is not None


def _commands(group: Any, before: str = "") -> Iterator[str]:
    """The words of every command, groups included."""
    for word, command in getattr(group, "commands", {}).items():
        yield before + word
        yield from _commands(loaded(command), f"{before}{word} ")
