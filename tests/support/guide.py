"""The Markdown of the guide as what a reader types: commands for a shell, cells for a notebook, scripts."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .command import Shell

RUN: Final = ("sh", "console", "python")
"""Languages of blocks that are run. In a `console` block, lines after `$ ` are commands, the others what they print."""

SHOWN: Final = ("text", "ini", "dockerfile", "yaml")
"""Languages of blocks that are not run. A `text` block right after a `python` block is what that prints."""

DONE: Final = "-- this is the end of what it prints --"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Lines to be run as they stand, and what they print: None if the document does not say."""

    language: str
    code: str
    line: int
    output: str | None = None

    @property
    def is_script(self) -> bool:
        """Whether it is a program of its own, which starts an event loop, and no cell of a notebook."""
        return (
            self.language == "python"
            and re.search(r"^(anyio|asyncio)\.run\(", self.code, re.MULTILINE) is not None
        )

    def check(self, printed: str) -> None:
        """Fails unless it printed what the document says; `…` there stands for anything."""
        if self.output is not None:
            parts = (re.escape(part.strip(" ")) for part in self.output.strip().split("…"))
            assert re.fullmatch(r"\s*.*?\s*".join(parts), printed.strip(), re.DOTALL), (
                f"line {self.line} prints\n{printed}\ninstead of\n{self.output}"
            )


def steps_of(markdown: str) -> list[Step]:
    """What a reader runs, in the order of the document. Fails for a block of a language that is not known."""
    steps: list[Step] = []
    for match in re.finditer(r"^```(.*)\n((?:.*\n)*?)```$", markdown, re.MULTILINE):
        language, code = match[1], match[2]
        line = markdown.count("\n", 0, match.start()) + 1
        assert language in (*RUN, *SHOWN), f"line {line}: a block of the language {language!r}"
        if language == "console":
            steps += _console_steps(code, line)
        elif language in RUN:
            output = re.match(r"\n\n```text\n((?:.*\n)*?)```$", markdown[match.end() :], re.MULTILINE)
            steps.append(Step(language=language, code=code, line=line, output=output[1] if output else None))
    return steps


def _console_steps(code: str, line: int) -> Iterator[Step]:
    commands = list(re.finditer(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", code, re.MULTILINE))
    for match in commands:
        number = line + 1 + code.count("\n", 0, match.start())
        yield Step(language="sh", code=match[1] + "\n", line=number, output=match[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Somebody who follows a document: one shell and one notebook, in one directory."""

    shell: Shell
    _sessions: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def follow(self, steps: Sequence[Step]) -> None:
        """Run each step, and fail at the first that fails or prints something else."""
        for step in steps:
            step.check(self._run(step))

    def close(self) -> None:
        for process in self._sessions.values():
            process.kill()
            process.communicate()
        self._sessions.clear()

    def _run(self, step: Step) -> str:
        """What a step prints, on both streams. Fails if it fails."""
        suffix = "sh" if step.language == "sh" else "py"
        file = self.shell.directory / f"line-{step.line}.{suffix}"
        file.write_text(step.code, "utf-8")
        if step.is_script:
            return self._ask("sh", f"python {file}", step)
        return self._ask(
            suffix, f"set -eo pipefail; . {file} </dev/null" if suffix == "sh" else str(file), step
        )

    def _ask(self, kind: str, request: str, step: Step) -> str:
        process = self._session(kind)
        assert process.stdin is not None
        assert process.stdout is not None
        end = f"; echo '{DONE}'" if kind == "sh" else ""
        process.stdin.write(f"{request}{end}\n")
        process.stdin.flush()
        printed = ""
        while (line := process.stdout.readline()) and not line.endswith(f"{DONE}\n"):
            printed += line
        assert line, f"line {step.line} fails:\n{step.code}\n{printed}"
        return printed + line.removesuffix(f"{DONE}\n")

    def _session(self, kind: str) -> subprocess.Popen[str]:
        if kind not in self._sessions:
            commands = {"sh": ["bash"], "py": [sys.executable, str(Path(__file__).with_name("notebook.py"))]}
            self._sessions[kind] = subprocess.Popen(
                commands[kind],
                cwd=self.shell.directory,
                env=dict(self.shell.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        return self._sessions[kind]
