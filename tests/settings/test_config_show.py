"""`qwf config show`: every value and its origin, passwords masked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from qwf_async.cli.config import config
from qwf_async.errors import UsageError
from qwf_async.settings import Settings
from qwf_async.wording import messages_for_command_line
from tests.support.settings_files import NAMES, Write


def show(*arguments: str, **environ: str) -> Result:
    app = typer.Typer()
    app.add_typer(config)
    with messages_for_command_line():
        return CliRunner().invoke(app, ["config", "show", *arguments], env={"COLUMNS": "300", **environ})


def test_show_prints_every_value_and_its_origin(write: Write) -> None:
    path = write("a.toml", "writers = 9")
    arguments = ["--config", str(path), "--url", "unix:///run/[b].sock"]
    found = json.loads(show(*arguments, "--json", QWF_DEADLINE="7").stdout)
    assert list(found) == list(Settings.__dataclass_fields__)
    assert found["writers"] == {"value": 9, "from": f"file {path}"}
    assert found["deadline"] == {"value": 7.0, "from": "environment QWF_DEADLINE"}
    assert found["url"] == {"value": "unix:///run/[b].sock", "from": "flag --url"}
    assert found["max_rate"] == {"value": None, "from": "default"}
    lines = {line.split()[0]: line.split()[1:] for line in show(*arguments).stdout.splitlines()}
    assert lines["writers"] == ["9", "file", str(path)]
    assert lines["url"] == ["unix:///run/[b].sock", "flag", "--url"]
    assert lines["max_rate"] == ["not", "set", "default"]
    assert set(lines) == {"name", *NAMES}


@pytest.mark.parametrize("form", [["--json"], []])
def test_show_masks_passwords(tmp_path: Path, form: list[str]) -> None:
    (tmp_path / "secret").write_text("inthefile")
    secret = str(tmp_path / "secret")
    result = show("--url", "redis://me:intheurl@h:1/2", "--password-file", secret, *form)
    assert "redis://me:***@h:1/2" in result.stdout
    assert "intheurl" not in result.output
    assert "inthefile" not in result.output


@pytest.mark.parametrize("url", ["redis://:hun/ter2@h", ":hunter2", "redis://:hunter2@h:x", "a://:hunter2@h"])
def test_show_does_not_repeat_a_url_that_does_not_parse(url: str) -> None:
    result = show(QWF_URL=url)
    assert isinstance(result.exception, UsageError)
    assert "environment QWF_URL" in str(result.exception)
    assert "hun" not in str(result.exception) + result.output
    assert "ter2" not in str(result.exception) + result.output


def test_show_prints_paths_that_are_not_utf8() -> None:
    assert "/d?" in show(QWF_DATA_DIR="/d\udcff").stdout
