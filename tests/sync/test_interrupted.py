"""Ctrl-C in the middle of a call, and the end of a process that closed nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

import anyio.from_thread
import numpy as np
import pytest
from numpy.typing import NDArray

import qwf_async as qwf
from qwf_async.events import Event, Noted, Progress
from qwf_async.lattice.grid import Box, Order
from tests.conftest import PATIENCE, Server
from tests.support.command import TIMEOUT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("small_chunks", "time_to_settle")


@dataclass(slots=True, kw_only=True)
class Pressing:
    """Ones, with Ctrl-C as the third box is read; that read ends if it is cancelled, or `goes_on`."""

    spec: str = "ones"
    grid: qwf.Grid = field(default_factory=lambda: qwf.Grid.cube(20))
    order: Order = "C"
    presses: bool = True
    boxes: int = 0
    stored: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event = field(default_factory=threading.Event)

    def read(self, box: Box) -> NDArray[Any]:
        self.boxes += 1
        if self.presses and self.boxes == 3:
            assert self.stored.wait(PATIENCE)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            while not self.goes_on.wait(0.001):
                anyio.from_thread.check_cancelled()
        return np.ones(box.shape, complex)

    def hook(self, event: Event) -> None:
        if isinstance(event, Progress) and event.points:
            self.stored.set()
        if isinstance(event, Noted) and "stopping" in event.text:
            self.goes_on.set()

    def fingerprint(self) -> str:
        return "ones"

    def close(self) -> None: ...


def test_ctrl_c_leaves_a_load_that_can_be_resumed_and_says_so(server: Server) -> None:
    with qwf.open(server.url) as store:
        source = Pressing()
        with pytest.raises(KeyboardInterrupt, match="make the same call with resume=True"):
            store.ingest(source, "psi", producers=1, hooks=[source.hook])
        (entry,) = store.entries()
        assert entry.note == "an unfinished load of it can be resumed"
        again = Pressing(presses=False)
        assert store.ingest(again, "psi", resume=True).points == 8000
        assert again.boxes < len(store["psi"].manifest.plan)
        assert store["psi"][0].sum() == 8000


def test_with_signals_what_is_on_its_way_is_finished(server: Server) -> None:
    before, source = signal.getsignal(signal.SIGINT), Pressing()
    with qwf.open(server.url) as store:
        with pytest.raises(
            qwf.Interrupted, match="chunks of psi are stored: make the same call with"
        ) as raised:
            store.ingest(source, "psi", producers=1, signals=True, hooks=[source.hook])
        assert raised.value.status == 130
        assert store.ingest(Pressing(presses=False), "psi", resume=True).points == 8000
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_while_reading_leaves_the_store_usable(own_server: Server) -> None:
    with qwf.open(own_server.url) as store:
        store.ingest(Pressing(presses=False), "psi")
        psi = store["psi"]
        psi.point(1)
        own_server.stop()
        press = threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))

        def read() -> None:
            press.start()
            psi.point(1, 2, 3)

        with pytest.raises(KeyboardInterrupt):
            read()
        own_server.go_on()
        press.join()
        assert psi[0, 1, 2, 3] == 1
        assert psi[0].sum() == 8000


FORGETFUL = """
import os, sys, threading
import numpy as np
import qwf_async as qwf

store = qwf.open(sys.argv[1])
store.ingest(qwf.sources.array(np.ones((8, 8, 8), complex)), "psi")
psi = store["psi"]
print({"zarr", "xarray", "dask", "h5py", "matplotlib", "scipy", "qutip", "qiskit"} & sys.modules.keys(), flush=True)
child = os.fork()
if not child:
    for use in (store.names, lambda: psi[0]):
        try:
            use()
        except qwf.UsageError as error:
            print(error)
    print(qwf.open(sys.argv[1])["psi"][0, 1, 1, 1])
    sys.exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), psi[0].sum())

def read():
    while True:
        np.asarray(psi)

threading.excepthook = lambda raised: None  # it reads on while the process ends
threading.Thread(target=read, daemon=True).start()
sys.exit(4)
"""


def test_a_process_that_closes_nothing_ends_in_good_order_and_so_does_one_forked_from_it(
    server: Server,
) -> None:
    # From 3.12 on Python warns of any fork while there are threads.
    warnings = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")
    command = [sys.executable, *warnings, "-c", FORGETFUL, server.url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert (ended.returncode, ended.stderr) == (4, "")
    refusal = "the store was opened before this process was forked: open one here"
    assert ended.stdout.splitlines() == ["set()", refusal, refusal, "(1+0j)", "3 (512+0j)"]
    with server.plain as client:
        wait_until(lambda: client.info("clients")["connected_clients"] == 1)


CTRL_C = """
import sys, time
import anyio
import qwf_async as qwf

def psi(t, x, y, z):
    if z.size > 8:  # else it is looked at for its fingerprint
        print("reading", flush=True)
        while True:
            anyio.from_thread.check_cancelled()
            time.sleep(0.01)
    return t + x + y + z + 0j

store = qwf.open(sys.argv[1])
store.ingest(qwf.sources.function(psi, grid=qwf.Grid.cube(16, box=10.0)), "psi")
"""


def test_ctrl_c_in_a_script_ends_it_with_words_and_no_more(server: Server) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", CTRL_C, server.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGINT
    assert err.count("Traceback") == 1
    assert "resume=True" in err.splitlines()[-1]
