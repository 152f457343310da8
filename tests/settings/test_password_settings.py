"""The password among the settings: where it comes from, and that it is not shown."""

from __future__ import annotations

from pathlib import Path

from qwf_async.settings import load, trace
from tests.support.settings_files import SECRET, Write, refusal


def test_password_comes_from_where_it_ranks_highest(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "secret"
    path.write_text(f" {SECRET} \r\n")
    variable, file = {"QWF_PASSWORD": "pw"}, {"QWF_PASSWORD_FILE": str(path)}
    toml_file = write("a.toml", "password_file = 'secret'")
    from_variable, from_file = ("pw", "environment QWF_PASSWORD"), (f" {SECRET} ", f"file {path}")
    for settings_file, environ, flag, expected in (
        (None, variable, None, from_variable),
        (None, file, None, from_file),
        (None, variable | file, None, from_variable),
        (None, variable | file, path, from_file),
        (toml_file, {}, None, from_file),
        (toml_file, variable, None, from_variable),
    ):
        found, origins = trace(settings_file, environ=environ, password_file=flag)
        assert (found.password, origins["password"]) == expected


def test_password_file_must_be_readable_and_hold_something(tmp_path: Path) -> None:
    message = refusal(environ={"QWF_PASSWORD_FILE": "/missing"})
    assert message.startswith("password_file '/missing' (environment QWF_PASSWORD_FILE) must be readable")
    assert "must be readable" in refusal(environ={}, password_file=tmp_path)
    for content, said in ((b"\n", "is empty"), (b"\xff\xfe", "must be readable text")):
        (tmp_path / "secret").write_bytes(content)
        assert said in refusal(environ={}, password_file=tmp_path / "secret")


def test_repr_holds_no_password(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    found = load(environ={"QWF_URL": f"redis://:{SECRET}@h"}, password_file=path)
    assert found.password == SECRET
    assert SECRET not in repr(found)
    assert "writers=4" in repr(found)
