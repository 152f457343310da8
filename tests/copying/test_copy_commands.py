"""`qwf cp`, `mv`, `backup` and `restore`: where a target is, what is printed, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis

from qwf_async.copying.target import Target
from qwf_async.errors import UsageError
from qwf_async.settings import Settings
from tests.conftest import Server, free_port, new_server
from tests.support.command import Shell


@pytest.mark.parametrize(
    ("text", "url", "data_dir", "name"),
    [
        ("new", None, None, "new"),
        ("redis://h:6379/new", "redis://h:6379", None, "new"),
        ("redis://h:6379/", "redis://h:6379", None, "psi"),
        ("redis://h:6379/2/new", "redis://h:6379/2", None, "new"),
        ("redis://h:6379/2/", "redis://h:6379/2", None, "psi"),
        ("rediss://h/new?ssl_ca_certs=/c.pem", "rediss://h?ssl_ca_certs=/c.pem", None, "new"),
        ("rediss://h/2/?ssl_ca_certs=/c.pem", "rediss://h/2?ssl_ca_certs=/c.pem", None, "psi"),
        ("rediss://h/2?ssl_ca_certs=/c.pem/new", "rediss://h/2?ssl_ca_certs=/c.pem", None, "new"),
        ("rediss://h?ssl_ca_certs=/c.pem/new", "rediss://h?ssl_ca_certs=/c.pem", None, "new"),
        ("redis+cluster://a:1,b:2/new", "redis+cluster://a:1,b:2", None, "new"),
        ("unix:///run/x.sock/new", "unix:///run/x.sock", None, "new"),
        ("localhost:6379/new", "localhost:6379", None, "new"),
        ("localhost:6379/2/new", "localhost:6379/2", None, "new"),
        ("embedded:///new", None, "", "new"),
        ("embedded:///", None, "", "psi"),
        ("embedded:///var/data/new", None, "/var/data", "new"),
    ],
)
def test_the_new_name_follows_the_last_slash(
    text: str, url: str | None, data_dir: str | None, name: str
) -> None:
    assert Target.parse(text, "psi") == Target(url=url, data_dir=data_dir, name=name)


@pytest.mark.parametrize("text", ["redis://h", "redis://h:6379", "embedded://new", "/", "/new", "//"])
def test_a_url_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="the target is NEW or URL/NEW"):
        Target.parse(text, "psi")


def test_a_password_is_for_its_own_server_only() -> None:
    own = Settings(url="redis://h:6379", password="secret")
    other = Target.parse("redis://other:6379/new", "psi").settings(own)
    same = Target.parse("redis://h:6379/2/new", "psi").settings(own)
    assert other is not None
    assert same is not None
    assert (other.password, same.password) == (None, "secret")
    assert Target.parse("new", "psi").settings(own) is None


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Shell:
    """A shell with a wavefunction packet on the server that QWF_URL names."""
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    told = shell.qwf("ingest", "gaussian:k=2", "--grid", "512x1", "--frames", "3", "--dt", "0.1", "-q")
    assert told.status == 0, told.err
    return shell


def test_a_copy_reports_as_an_ingest_does(shell: Shell) -> None:
    copied, again, held, moved = shell.each(
        ["cp", "gaussian", "new", "--layout", "auto", "--json"],
        ["cp", "gaussian", "new", "--resume"],
        ["cp", "gaussian", "new", "--json"],
        ["mv", "new", "newer", "--codec", "c8"],
    )
    report = json.loads(copied.out)
    assert (report["name"], report["layout"], report["points"]) == ("new", "flat", 1536)
    assert "layout flat: " in copied.err
    assert "copied gaussian to new already, in generation " in again.err
    assert held.status == 8
    assert "new exists already: --overwrite" in held.err
    assert "moved new to newer: 1,536 points as flat c8 in " in moved.err
    assert "verified" in moved.err
    names = [row["name"] for row in json.loads(shell.qwf("ls", "--json").out)]
    assert names == ["gaussian", "newer"]


def test_a_copy_goes_to_another_prefix_and_to_another_server_with_its_password(
    shell: Shell, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("secret\n")
    with free_port() as port:
        for other in new_server("valkey", port=str(port)):
            with other.plain as client:
                client.config_set("requirepass", "secret")
            refused, there, prefix = shell.each(
                ["cp", "gaussian", f"redis://127.0.0.1:{port}/"],
                ["cp", "gaussian", f"redis://127.0.0.1:{port}/3/new", "--to-password-file", "password"],
                ["cp", "gaussian", "gaussian", "--to-prefix", "other"],
            )
            assert refused.status == 8
            assert there.status == 0, there.err
            assert f"copied gaussian to new on redis://:***@127.0.0.1:{port}/3" in there.err
            with redis.Redis(port=port, password="secret", db=3) as client:
                assert client.exists("qwf:{new}:meta")
    assert prefix.status == 0, prefix.err
    with server.plain as client:
        assert client.exists("other:{gaussian}:meta")


def test_a_backup_is_told_in_words_and_in_json(shell: Shell, tmp_path: Path) -> None:
    written, again = shell.each(["backup", "b"], ["backup", "b", "--json"])
    assert written.err.startswith("backup in b: 1 written (1,536 points, ")
    assert json.loads(again.out)["unchanged"] == ["gaussian"]
    there, _, restored = shell.each(["restore", "b"], ["rm", "gaussian", "-q"], ["restore", "b", "--json"])
    assert "restored 0 of b: 0 points" in there.err
    assert "1 there already" in there.err
    assert [report["name"] for report in json.loads(restored.out)["restored"]] == ["gaussian"]
    record = tmp_path / "b" / "gaussian.json"
    record.write_text(record.read_text().replace('"c16"', '"c8"'))
    damaged, missing = shell.each(["restore", "b"], ["restore", "b", "--name", "other"])
    assert (damaged.status, missing.status) == (5, 7)
    assert "gaussian.json is no record of a backup, or damaged: its checksum is another" in damaged.err
