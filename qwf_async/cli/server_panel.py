"""A sample of a watched store as a page of text: sections one below the other, as wide and as high as there is room."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rich.text import Text

from ..server.totals import totals
from . import server_words as words
from .text_rows import Cell, aligned, flowing

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from ..events import ServerSampled, SlowCommand

LABEL: Final = 13
"""Columns of the labels of sections."""

NARROW: Final = 40
"""Columns below which labels have lines of their own."""


LISTS: Final = ("loads", "spools", "slow log", "notes")
"""Sections that have a blank line before them, if there is room."""


@dataclass(frozen=True, slots=True)
class Section:
    """Lines under a label, or over the whole width without one.

    `kept` of them are shown if the page is not high enough for all.
    """

    label: str
    lines: Sequence[Text]
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPanel:
    """The page. `slow` are the latest slow commands and `notes` the latest notes (text, style), newest first.

    Memory at the `watermark`, a share, is shown as a warning. With `whole` nothing is left out for
    want of height.
    """

    sample: ServerSampled
    watermark: float
    slow: Sequence[tuple[str, SlowCommand]] = ()
    notes: Sequence[tuple[float, str, str]] = ()
    whole: bool = False
    at: float = field(default_factory=time.time)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        sections = self._sections(width)
        lines = [*self._heading(width)]
        if not self.whole and options.height is not None:
            sections = shortened(sections, options.height - len(lines))
            spare = options.height - len(lines) - _height(sections)
        else:
            spare = len(sections)
        if spare >= 1:
            lines.append(Text())
        parted = spare > sum(section.label in LISTS for section in sections)
        for section in sections:
            if parted and section.label in LISTS:
                lines.append(Text())
            lines += _labelled(section, width)
        for line in lines:
            line.truncate(width, overflow="ellipsis")
            line.end = ""
        yield Text("\n").join(lines)

    def _heading(self, width: int) -> list[Text]:
        clock = time.strftime("%H:%M:%S", time.localtime(self.at))
        sample = self.sample
        if len(sample.facts) + len(sample.away) > 1:
            nodes: list[Cell] = [f"{len(sample.facts) + len(sample.away)} nodes"]
            software = {f"{facts.software or 'unknown'} {facts.version or ''}" for facts in sample.facts}
            parts = [*nodes, ", ".join(sorted(software)), *self._away(), clock]
        elif sample.facts:
            parts = [*words.heading(sample.facts[0]), clock]
        else:
            parts = [*(self._away() or ["asking the server"]), clock]
        lines = flowing(parts, width)
        for line in lines:
            line.stylize("bold")
        return lines

    def _away(self) -> list[Cell]:
        away = [words.place(where) for where in self.sample.away]
        return [(f"no answer: {', '.join(away)}", words.BAD)] if away else []

    def _sections(self, whole_width: int) -> list[Section]:
        sample, width = self.sample, whole_width if whole_width < NARROW else whole_width - LABEL
        several = len(sample.facts) + len(sample.away) > 1
        facts: list[tuple[str, list[Cell]]] = []
        if sample.facts and not several:
            (one,) = sample.facts
            facts = [
                ("memory", words.memory(one, self.watermark)),
                ("traffic", words.traffic(one)),
                ("clients", words.clients(one)),
                ("persistence", words.persistence(one, self.at)),
                ("replication", words.replication(one)),
            ]
        facts.append(("connections", words.connections(sample.connections)))
        # Nodes take the place of what is said of a single server.
        sections = [Section("", self._nodes(whole_width), 2)] if several and sample.facts else []
        for label, parts in facts:
            if parts:
                lines = flowing(parts, width)
                sections.append(Section(label, lines, len(lines)))
        loads = ["unknown"] if sample.loads is None else ["none"]
        lists: Iterable[tuple[str, list[Text]]] = (
            (
                "loads",
                aligned(list(map(words.load, sample.loads or ())), width, right=(2, 3, 5), spare=(1, 5))
                or flowing(loads, width),
            ),
            ("spools", aligned(list(map(words.spool, sample.spools)), width, right=(2,))),
            ("slow log", aligned(list(self._slow()), width)),
            ("notes", [line for note in self.notes for line in flowing([self._note(note)], width)]),
        )
        return sections + [Section(label, lines, 1) for label, lines in lists if lines]

    def _slow(self) -> Iterator[list[Cell]]:
        several = len(self.sample.facts) > 1
        for where, command in self.slow:
            yield [*([words.place(where)] if several else []), *words.slow(command, self.at)]

    def _nodes(self, width: int) -> list[Text]:
        every = self.sample.facts
        heads = words.node_heads()
        blank: list[Cell] = [""] * (len(heads) - 2)
        rows: list[list[Cell]] = [
            heads,
            words.node_totals(totals(every), every),
            *(words.node(facts, self.watermark) for facts in every),
            *([words.place(where), ("no answer", words.BAD), *blank] for where in self.sample.away),
        ]
        return aligned(rows, width, right=range(1, len(heads)), least=words.PLACE)

    def _note(self, note: tuple[float, str, str]) -> Cell:
        at, text, style = note
        return f"{time.strftime('%H:%M:%S', time.localtime(at))} {text}", style


def shortened(sections: Sequence[Section], height: int) -> list[Section]:
    """The sections, the longest first made shorter, until all have room in `height` lines."""
    lines = [len(section.lines) for section in sections]
    while sum(lines) > height:
        spare = [count - section.kept for count, section in zip(lines, sections, strict=True)]
        if max(spare) <= 0:
            break
        longest = max(range(len(lines)), key=lambda number: (spare[number] > 0, lines[number]))
        lines[longest] -= 1
    return [
        Section(section.label, _cut(section.lines, count), section.kept)
        for section, count in zip(sections, lines, strict=True)
    ]


def _cut(lines: Sequence[Text], count: int) -> list[Text]:
    """So many of the lines; the last one says how many more there are."""
    if count == len(lines) or count < 2:
        return list(lines[:count])
    return [*lines[: count - 1], Text(f"and {len(lines) - count + 1} more", "dim")]


def _height(sections: Sequence[Section]) -> int:
    return sum(len(section.lines) for section in sections)


def _labelled(section: Section, width: int) -> list[Text]:
    if not section.label:
        return [*section.lines]
    if width < NARROW:
        return [Text(section.label, "bold cyan"), *section.lines]
    blank = " " * LABEL
    return [
        Text.assemble((blank if number else f"{section.label:<{LABEL}}", "bold cyan"), line)
        for number, line in enumerate(section.lines)
    ]
