"""README.md and the topics of `qwf help`: a reader follows them, each in a directory and with servers of its own."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

import qwf_async as qwf
from qwf_async.errors import QwfError
from qwf_async.settings import Settings
from tests.conftest import free_port, new_server
from tests.support.command import ROOT, Shell
from tests.support.forked import write_program
from tests.support.guide import Reader, Step, steps_of

PAGES = [ROOT / "README.md", *sorted((ROOT / "qwf_async" / "help").glob("*.md"))]
OWN_SERVER = "localhost:6379"
"""The server of the reader's own, in the documents. In the test it is at another port."""

LEFT_OUT = {
    "pip install . && ": "the check of a clean clone installs; what follows on the line is run here",
    "pip install -e '.[test]' && pytest\n": "it runs this very test",
}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[tuple[Reader, str]]:
    """A reader, and the address of a server that the reader may call the own."""
    commands, work = tmp_path / "bin", tmp_path / "work"
    commands.mkdir()
    work.mkdir()
    (commands / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (commands / "python").chmod(0o755)
    write_program(commands / "qwf")
    # Not under tmp_path, whose path may be too long for a socket.
    with tempfile.TemporaryDirectory(prefix="qwf-") as runtime, free_port() as port:
        shell = Shell.at(work, PATH=f"{commands}:{os.environ['PATH']}", XDG_RUNTIME_DIR=runtime)
        for _ in new_server("valkey", port=str(port), maxmemory="1gb"):
            reader = Reader(shell=shell)
            try:
                yield reader, f"localhost:{port}"
            finally:
                reader.close()
                shell.qwf("server", "stop", "--quiet")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_reader_who_follows_the_page_gets_what_it_says(page: Path, reader: tuple[Reader, str]) -> None:
    somebody, address = reader
    text = page.read_text("utf-8")
    for words in LEFT_OUT:
        text = text.replace(words, "")
    assert "redis://localhost " not in text, "the address of the own server is written with its port"
    somebody.follow(steps_of(text.replace(OWN_SERVER, address)))
    if page.stem == "examples":
        written = {path.suffix for path in somebody.shell.directory.iterdir() if path.stat().st_size > 100}
        assert {".png", ".svg", ".gif", ".csv"} <= written


def test_what_is_left_out_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert all(text.count(words) == 1 for words in LEFT_OUT)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 220


def test_the_readme_names_every_topic() -> None:
    text = (ROOT / "README.md").read_text("utf-8").partition("\n## Everything else\n")[2]
    for page in PAGES[1:]:
        assert f"`{page.stem}`" in text


def test_every_setting_is_in_the_topic_of_settings() -> None:
    text = (ROOT / "qwf_async" / "help" / "settings.md").read_text("utf-8")
    for one in fields(Settings):
        assert f"`{one.name}`" in text


def test_every_error_and_its_exit_code_is_in_the_guide() -> None:
    codes = (ROOT / "README.md").read_text("utf-8").partition("\n## When it fails\n")[2]
    names = (ROOT / "qwf_async" / "help" / "python.md").read_text("utf-8")
    for error in QwfError.__subclasses__():
        assert f"\n| {error.exit_code} | " in codes
        assert f"`{error.__name__}`" in names or error.__name__ not in qwf.__all__


def test_a_step_that_fails_or_prints_something_else_is_noticed(reader: tuple[Reader, str]) -> None:
    somebody, _ = reader
    somebody.follow(steps_of("```console\n$ echo 12 34 56\n12 … 56\n```\n"))
    somebody.follow(steps_of("```python\na = 1\nprint(a)\n```\n\n```text\n1\n```\n"))
    for wrong in (
        "```console\n$ echo 12\n13\n```\n",
        "```sh\nqwf frobnicate\n```\n",
        "```sh\nfalse | cat\n```\n",
        "```python\nraise ValueError\n```\n",
    ):
        with pytest.raises(AssertionError, match=r"line [12] "):
            somebody.follow(steps_of(wrong))
        somebody.close()


def test_blocks_are_read_as_a_reader_reads_them() -> None:
    text = "```sh\na \\\n  b\n```\n\n```console\n$ one\n$ two\nx\ny\n```\n```ini\n[Unit]\n```\n"
    assert steps_of(text) == [
        Step(language="sh", code="a \\\n  b\n", line=1),
        Step(language="sh", code="one\n", line=7, output=""),
        Step(language="sh", code="two\n", line=8, output="x\ny\n"),
    ]
    with pytest.raises(AssertionError, match="line 1: a block of the language 'bash'"):
        steps_of("```bash\n```\n")
