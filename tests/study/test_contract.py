"""All of Optuna's own tests of storages, on both servers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.testing.pytest_storages import StorageTestCase

from qwf_async.errors import ServerUnavailable
from qwf_async.study.live_study import LiveStudy
from qwf_async.study.open_studies import OpenStudies
from qwf_async.study.storage import StudyStorage
from tests.conftest import PATIENCE, Server
from tests.support.relay import Relay, relaying


@pytest.fixture
def storage(each_server: Server) -> Iterator[StudyStorage]:
    storage = StudyStorage(each_server.url)
    yield storage
    storage.close()


class TestOnTheServer(StorageTestCase):
    """Optuna's contract."""


class Outages(StudyStorage):
    """A storage whose server is away, but for the moments in which a study begins or ends."""

    relay: Relay

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        with self.server_there():
            return super().create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        with self.server_there():
            super().delete_study(study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        with self.server_there():
            return super().get_all_studies()

    def get_study_id_from_name(self, study_name: str) -> int:
        with self.server_there():
            return super().get_study_id_from_name(study_name)

    @contextmanager
    def server_there(self) -> Iterator[None]:
        self.relay.normal()
        self._server.after = PATIENCE
        self.sync(PATIENCE)
        try:
            yield
        finally:
            self.cut_off()

    def cut_off(self) -> None:
        self._server.after = 0.02
        self.relay.refuse()
        self.relay.cut()


class Asking(OpenStudies):
    """Of a study that this host has never seen, nobody knows in an outage whether it exists: the server is asked."""

    storage: Outages

    def known(self, study_id: int) -> LiveStudy:
        try:
            return super().known(study_id)
        except ServerUnavailable:
            self.storage.relay.normal()
            try:
                return super().known(study_id)
            finally:
                self.storage.cut_off()


class TestInTheFileOfTheHost(StorageTestCase):
    """The same contract, while what is written goes into the file."""

    @pytest.fixture
    def storage(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[StudyStorage]:
        monkeypatch.setattr("qwf_async.study.storage.OpenStudies", Asking)
        with relaying(server) as relay:
            Outages.relay = relay
            storage = Asking.storage = Outages(relay.url, directory=tmp_path / "host")
            yield storage
            relay.normal()
            storage.sync(PATIENCE)
            storage.close()
