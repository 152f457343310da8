"""Pictures on terminals of any width, and where only ASCII can be printed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import new_server
from tests.support.command import Shell


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    for server in new_server("valkey"):
        shell = Shell.at(tmp_path_factory.mktemp("narrow"), QWF_URL=server.url)
        grid = ("--grid", "16x16", "--frames", "2", "--dt", "0.1", "--name", "packet")
        assert shell.qwf("ingest", "gaussian:k=2", *grid).status == 0
        yield shell


SHOWN = (
    ["packet"],
    ["packet", "--what", "density"],
    ["packet", "--what", "phase", "--slice", "y=3"],
    ["packet", "--all", "--slice", "y=3"],
    ["packet", "--what", "marginals"],
    ["packet", "--what", "expectations"],
    ["packet", "--what", "current"],
)


@pytest.mark.parametrize("columns", ["0", "1", "2", "7", "500"])
def test_a_picture_is_shown_at_any_width(shell: Shell, columns: str) -> None:
    here = shell.having(COLUMNS=columns)
    for outcome in here.several([(["plot", *words], {}) for words in SHOWN]):
        assert outcome.status == 0, outcome.err
        assert len(outcome.out.splitlines()) > 3


def test_what_cannot_be_printed_is_escaped(shell: Shell) -> None:
    plain = shell.having(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    for outcome in plain.several([(["plot", *words], {}) for words in SHOWN]):
        assert outcome.status == 0, outcome.err
        assert outcome.out.isascii()
        assert set("-+@") & set(outcome.out)
