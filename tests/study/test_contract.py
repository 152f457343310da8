"""All of Optuna's own tests of storages, on both servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from optuna.testing.pytest_storages import StorageTestCase

from qwf_async.study.storage import StudyStorage
from tests.conftest import Server


@pytest.fixture
def storage(each_server: Server) -> Iterator[StudyStorage]:
    storage = StudyStorage(each_server.url)
    yield storage
    storage.close()


class TestOnTheServer(StorageTestCase):
    """Optuna's contract."""
