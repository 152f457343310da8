"""What a worker was about to do, and what it was told: a file of JSON lines, written before and after each call."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["done", "failed", "unknown"]


class Journal:
    """The writer. A line that does not fit, as its file may not grow, goes into a next file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts = 0
        self._lines = 0
        self._descriptor = self._open()

    def about(self, kind: str, trial: int, content: Any = None) -> int:
        """Say what is to be done; returns its number in this journal. `trial` is its place among the worker's own."""
        self._lines += 1
        self._write(["about", self._lines, kind, trial, content])
        return self._lines

    def done(self, number: int, answer: Any = None) -> None:
        self._write(["done", number, answer])

    def failed(self, number: int, error: BaseException) -> None:
        self._write(["failed", number, f"{type(error).__name__}: {error}"])

    def close(self) -> None:
        os.close(self._descriptor)

    def _open(self) -> int:
        self._parts += 1
        return os.open(self._path.with_suffix(f".{self._parts}"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def _write(self, line: list[Any]) -> None:
        data = (json.dumps([time.monotonic(), *line]) + "\n").encode()
        try:
            if os.write(self._descriptor, data) == len(data):
                return
        except OSError:
            pass
        os.close(self._descriptor)
        self._descriptor = self._open()
        if os.write(self._descriptor, data) != len(data):
            raise OSError("a line of a journal was cut off")


@dataclass(slots=True, kw_only=True)
class Call:
    """One call. `outcome` is unknown where the worker was killed, and `answer` what it returned or raised."""

    kind: str
    trial: int
    content: Any
    begun: float
    ended: float = float("inf")
    outcome: Outcome = "unknown"
    answer: Any = None


@dataclass(slots=True, kw_only=True)
class Told:
    """All calls of one worker, by its name, which begins with that of its host."""

    worker: str
    calls: list[Call] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.worker.partition("-")[0]


def read(directory: Path) -> Iterator[Told]:
    """The journals in a directory. A line that its file had no room for is there again, whole, in the next one."""
    for first in sorted(directory.glob("*.1")):
        told = Told(worker=first.stem)
        by_number: dict[int, Call] = {}
        parts = sorted(first.parent.glob(f"{first.stem}.*"), key=lambda path: int(path.suffix[1:]))
        for line in (line for part in parts for line in part.read_bytes().splitlines(keepends=True)):
            if not line.endswith(b"\n"):
                continue
            moment, what, number, *rest = json.loads(line)
            if what == "about":
                kind, trial, content = rest
                by_number[number] = Call(kind=kind, trial=trial, content=content, begun=moment)
                told.calls.append(by_number[number])
            elif what in ("done", "failed"):
                call = by_number[number]
                call.outcome, call.answer, call.ended = what, rest[0], moment
        yield told
