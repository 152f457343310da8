"""`qwf help`: the topics, how they are shown, and what else the word is used for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qwf_async.cli.app import app
from qwf_async.cli.commands import ABOUT, COMMANDS, deferred
from tests.support.command import ROOT, Shell

PAGES = sorted((ROOT / "qwf_async" / "help").glob("*.md"))
TOPICS = [page.stem for page in PAGES]
EVERY = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell.at(tmp_path)


def test_without_a_topic_commands_are_listed_by_group_and_then_the_topics(shell: Shell) -> None:
    listed, as_json = shell.each(["help"], ["help", "--json"])
    assert (listed.status, listed.err, as_json.status) == (0, "", 0)
    *blocks, last = listed.out.split("\n\n")
    assert last == "qwf help TOPIC shows a topic, and qwf help COMMAND the options of a command.\n"
    titles = [block.splitlines()[0] for block in blocks]
    rows = [(title, *line.split(maxsplit=1)) for title, block in zip(titles, blocks, strict=True)
            for line in block.splitlines()[1:]]  # fmt: skip
    told = json.loads(as_json.out)
    assert [row["topic"] for row in told["topics"]] == TOPICS
    assert rows == [
        *((row["group"], row["command"], row["about"]) for row in told["commands"]),
        *(("Topics", row["topic"], row["about"]) for row in told["topics"]),
    ]
    assert titles == [*COMMANDS, "Topics"]
    assert all(len(line) <= 100 for line in listed.out.splitlines())
    assert {name for _, name, _ in rows} >= set(deferred())


@EVERY
def test_a_page_begins_with_its_name_and_fits_a_terminal(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.startswith(f"# {page.stem}: ")
    assert text.endswith("\n")
    language = ""
    for line in text.splitlines():
        if line.startswith("```"):
            language = "" if language else line.removeprefix("```")
        elif language and (language != "console" or line.startswith("$ ")):
            assert len(line) <= 78, line
    assert not language


def test_a_topic_is_shown_and_raw_is_the_file_as_it_is(shell: Shell) -> None:
    shown, raw, as_json = shell.each(["help", "keys"], ["help", "keys", "--raw"], ["help", "keys", "--json"])
    text = (ROOT / "qwf_async" / "help" / "keys.md").read_text("utf-8")
    assert [outcome.status for outcome in (shown, raw, as_json)] == [0, 0, 0]
    assert raw.out == text
    assert json.loads(as_json.out) == {"topic": "keys", "markdown": text}
    assert "\x1b" not in shown.out
    assert "```" not in shown.out
    assert "redis-cli -s" in shown.out


@pytest.mark.parametrize("columns", ["20", "60", "100"])
def test_a_topic_is_as_wide_as_the_terminal(shell: Shell, columns: str) -> None:
    for outcome in shell.having(COLUMNS=columns).several([(["help", topic], {}) for topic in TOPICS]):
        assert outcome.status == 0, outcome.err
        assert max(map(len, outcome.out.splitlines())) <= int(columns)


def test_where_only_ascii_can_be_printed_a_topic_is_its_markdown(shell: Shell) -> None:
    plain = shell.having(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    for outcome in plain.several([(["help", *topic], {}) for topic in ([], *([topic] for topic in TOPICS))]):
        assert outcome.status == 0, outcome.err
        assert outcome.out.isascii()


def test_a_topic_has_colours_on_a_terminal_unless_they_are_not_wanted(shell: Shell) -> None:
    status, coloured = shell.on_terminal("help", "keys")
    assert (status, "\x1b[" in coloured) == (0, True)
    status, plain = shell.having(TERM="dumb").on_terminal("help", "keys")
    assert (status, "\x1b" in plain) == (0, False)


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["kyes"], "keys"),
        (["obsrvables"], "observables"),
        (["ingset"], "ingest"),
        (["server", "cnf"], "server conf"),
    ],
)
def test_a_word_that_is_no_topic_is_refused_with_the_nearest(
    shell: Shell, words: list[str], nearest: str
) -> None:
    refused = shell.qwf("help", *words)
    assert (refused.status, refused.out) == (2, "")
    assert refused.lines == [
        f"qwf: there is no topic or command {' '.join(words)!r}: the nearest is {nearest!r}, "
        "and 'qwf help' lists them (exit 2)"
    ]


def test_the_markdown_of_a_command_is_refused(shell: Shell) -> None:
    refused = shell.qwf("help", "ingest", "--raw")
    assert (refused.status, refused.lines) == (
        2,
        ["qwf: 'ingest' is a command, and --raw and --json are for topics (exit 2)"],
    )


@pytest.mark.parametrize("words", [["ingest"], ["server"], ["server", "conf"], ["help"]], ids=" ".join)
def test_help_of_a_command_shows_its_options(shell: Shell, words: list[str]) -> None:
    ours, its_own = shell.each(["help", *words], [*words, "--help"])
    assert (ours.status, ours.err) == (0, "")
    assert ours.out == its_own.out
    assert f"Usage: qwf {' '.join(words)} " in ours.out


def test_the_shell_is_offered_topics_and_commands() -> None:
    told = CliRunner().invoke(
        app,
        [],
        prog_name="qwf",
        env={"COMP_WORDS": "qwf help o", "COMP_CWORD": "2", "_QWF_COMPLETE": "complete_bash"},
    )
    assert told.stdout.split() == [word for word in (*TOPICS, *ABOUT) if word.startswith("o")]
