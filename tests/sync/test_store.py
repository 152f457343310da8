"""A store in a script: opened, listed, changed; from threads, and where an event loop runs already."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qwf_async as qwf
from qwf_async.errors import UnknownName
from tests.conftest import PATIENCE, Server

VALUES = np.arange(4 * 5 * 6).reshape(4, 5, 6) * 1j
SOURCE = qwf.sources.array(VALUES)


def test_a_store_is_used_like_a_dictionary(each_server: Server) -> None:
    with qwf.open(each_server.url, prefix="lab") as store:
        assert store.names() == []
        report = store.ingest(SOURCE, "psi", layout="tile")
        assert (report.name, report.points) == ("psi", VALUES.size)
        assert "psi" in store
        assert [name for name in ("chi", "no name", 5) if name in store] == []
        assert list(store) == store.names() == ["psi"]
        for name in ("chi", "chi2"):
            with pytest.raises(KeyError, match=f"^there is no wavefunction '{name}' on ") as raised:
                store[name]
            assert isinstance(raised.value, UnknownName)
            assert isinstance(raised.value, qwf.InvalidInput)
        assert store.verify("psi").differing == []
        assert store.server_info()["url"] == each_server.url == store.address.shown
        assert each_server.url in repr(store)
        assert store.settings.prefix == "lab"
        with pytest.raises(qwf.Refused, match="exists already: overwrite=True"):
            store.ingest(SOURCE, "psi")
        with pytest.raises(qwf.InvalidInput, match="must be text"):
            store.remove(3)  # type: ignore[arg-type]
        assert store.remove("psi")
        assert store.entries() == []
    with each_server.plain as client:
        assert client.dbsize() == 0


def test_a_closed_store_says_so(server: Server) -> None:
    store = qwf.open(server.url)
    store.ingest(SOURCE, "psi")
    psi = store["psi"]
    store.close()
    store.close()
    for use in (store.names, lambda: store["psi"], lambda: psi[0], lambda: np.asarray(psi)):
        with pytest.raises(qwf.UsageError, match=r"the store is closed: work within `with qwf_async\.open"):
            use()
    assert psi.shape == (1, 4, 5, 6)


def test_what_cannot_be_copied_or_drawn_is_told_so(server: Server) -> None:
    with qwf.open(server.url) as store:
        for face in (store, store.ingest(SOURCE, "psi") and store["psi"]):
            for use in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(
                    TypeError, match="cannot be copied or pickled: the other process opens its own"
                ):
                    use(face)
        with pytest.raises(
            qwf.InvalidInput, match=r"plot takes a Wavefunction, not 'None': that is what a store"
        ):
            qwf.plot(None)  # type: ignore[arg-type]


def test_what_opens_no_store_leaves_nothing_behind(tmp_path: Path, server: Server) -> None:
    threads = threading.active_count()
    cases: list[tuple[str | None, dict[str, Any], type[Exception], str]] = [
        (f"unix://{tmp_path}/nobody", {}, qwf.ServerUnavailable, "nobody"),
        ("ftp://localhost", {}, qwf.UsageError, "must begin with redis://"),
        (None, {"writers": 0}, qwf.UsageError, "argument writers"),
        (None, {"writes": 4}, qwf.UsageError, "unknown argument writes: the nearest is writers"),
    ]
    for url, flags, error, words in cases:
        with pytest.raises(error, match=words):
            qwf.open(url, **flags)
    with pytest.raises(qwf.UsageError, match="writes"):
        qwf.open(settings=qwf.Settings(), writes=4)
    assert threading.active_count() == threads
    with qwf.open(settings=qwf.Settings(url="redis://nowhere"), url=server.url, writers=2) as store:
        assert store.settings.writers == 2


@pytest.mark.anyio
async def test_where_a_loop_runs_already_it_is_the_same(server: Server) -> None:
    with qwf.open(server.url) as store, qwf.open(server.url) as other:
        store.ingest(SOURCE, "psi")
        np.testing.assert_array_equal(other["psi"][0], VALUES)
        async with qwf.connect(server.url) as asynchronous:
            psi = await asynchronous.open("psi")
            assert store["psi"][0, 1, 2, 3] == await psi.point(1, 2, 3) == VALUES[1, 2, 3]


def test_threads_share_a_store(server: Server) -> None:
    with qwf.open(server.url) as store, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: store.ingest(SOURCE, f"psi{n}"), range(4)))
        psi = store["psi0"]
        assert store.names() == ["psi0", "psi1", "psi2", "psi3"]
        read = threads.map(lambda x: psi[0, x % 4], range(32))
        np.testing.assert_array_equal(list(read), np.tile(VALUES, (8, 1, 1)))
        with pytest.raises(qwf.UsageError, match="signals=True is for the main thread"):
            threads.submit(store.ingest, SOURCE, "chi", signals=True).result()


def test_a_store_that_nobody_refers_to_is_closed(server: Server) -> None:
    store = qwf.open(server.url)
    store.ingest(SOURCE, "psi")
    psi, loop = store["psi"], store._loop
    gone = weakref.ref(store)
    del store
    gc.collect()
    assert psi[0, 1, 2, 3] == VALUES[1, 2, 3]  # a wavefunction keeps its store open
    del psi
    gc.collect()
    assert gone() is None
    loop._thread.join(PATIENCE)
    assert not loop._thread.is_alive()


def test_a_function_that_the_store_calls_cannot_call_it(server: Server) -> None:
    def hook(_: object) -> None:
        store.names()

    with qwf.open(server.url) as store:
        with pytest.raises(qwf.UsageError, match="it would wait for itself"):
            store.ingest(SOURCE, "psi", hooks=[hook])
        assert "psi" not in store


def test_a_server_that_dies_is_an_error_of_ours_and_one_that_comes_back_is_used(own_server: Server) -> None:
    with qwf.open(own_server.url, deadline=0.1) as store:
        store.ingest(SOURCE, "psi")
        psi = store["psi"]
        with own_server.plain as client:
            own_server.options["dir"] = str(own_server.directory)
            client.save()
        own_server.kill()
        with pytest.raises(qwf.ServerUnavailable):
            psi[0]
        own_server.start()
        np.testing.assert_array_equal(psi[0], VALUES)


def test_a_wavefunction_is_copied_moved_saved_and_restored(each_server: Server, tmp_path: Path) -> None:
    url = each_server.url
    with qwf.open(url) as store, qwf.open(url, prefix="lab") as other:
        store.ingest(SOURCE, "psi")
        store.copy("psi", store, "chi", layout="tile")
        assert (store["chi"].manifest.form.layout, store["psi"].manifest.form.layout) == ("tile", "flat")
        store.move("chi", other)
        assert (store.names(), other.names()) == (["psi"], ["chi"])
        other.backup(tmp_path)
        other.remove("chi")
        other.restore(tmp_path)
        np.testing.assert_array_equal(other["chi"], store["psi"])
