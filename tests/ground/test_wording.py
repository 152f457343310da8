"""Messages name options as their reader writes them, and have no character that moves a cursor."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import anyio.to_thread
import pytest

import qwf_async
from qwf_async.errors import InvalidInput
from qwf_async.wording import (
    MAX_QUOTED_CHARACTERS,
    again_with,
    flag,
    messages_for_command_line,
    option,
    phrase,
    printable,
    quoted,
)

ROOT = Path(qwf_async.__file__).parent
COMMAND_LINE_ONLY = "cli"
"""What only the command line runs."""


def spoken() -> list[str]:
    return [
        option("max_rate"),
        option("grid", "8x8"),
        flag("allow_nonfinite"),
        again_with("resume"),
        phrase(command_line="qwf rm psi", python="store.remove('psi')"),
    ]


IN_PYTHON = [
    "max_rate",
    "grid='8x8'",
    "allow_nonfinite=True",
    "make the same call with resume=True",
    "store.remove('psi')",
]
ON_THE_COMMAND_LINE = [
    "--max-rate",
    "--grid 8x8",
    "--allow-nonfinite",
    "run the same command with --resume",
    "qwf rm psi",
]


@pytest.mark.anyio
async def test_options_are_named_as_the_reader_writes_them_in_tasks_and_threads_too() -> None:
    assert spoken() == IN_PYTHON
    with messages_for_command_line():
        assert spoken() == ON_THE_COMMAND_LINE
        assert await anyio.to_thread.run_sync(spoken) == ON_THE_COMMAND_LINE
    assert spoken() == IN_PYTHON


def _advice(path: Path) -> list[str]:
    """The texts of a file, docstrings apart, that name an option as the command line does."""
    tree = ast.parse(path.read_text())
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    exempt = documentation | {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "phrase"
        for part in ast.walk(node)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in exempt
        if re.search(r"(^|[ (:;'])--[a-z]{2,}", node.value) and node.value != "--version"
    ]


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in sorted(ROOT.rglob("*.py"))
        if not path.relative_to(ROOT).as_posix().startswith(COMMAND_LINE_ONLY)
    ],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_what_python_runs_names_no_option_as_the_command_line_does(path: Path) -> None:
    assert not _advice(path)


HOSTILE = "\x1b]0;owned\x07 \x7f \x9b2J \r\n \u200e\u200f\u202a\u202e\u2066\u2069 \udcff"


def test_what_moves_a_cursor_or_turns_the_text_around_is_escaped() -> None:
    for shown in (printable(HOSTILE), quoted(HOSTILE), str(InvalidInput(HOSTILE))):
        assert shown.isprintable()
        assert r"\x1b]0;owned\x07" in shown
        assert r"\u202e" in shown
    assert printable("ψ(x) = |α⟩ ≈ 1.5 Å") == "ψ(x) = |α⟩ ≈ 1.5 Å"


def test_a_quotation_is_cut() -> None:
    assert quoted("psi") == "'psi'"
    assert quoted("a" * MAX_QUOTED_CHARACTERS) == f"'{'a' * 200}'"
    assert quoted("a" * 10**6) == f"'{'a' * 200}'…"
