"""An evolution that goes on from a stored wavefunction: on the command line and in Python."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import numpy as np
import pytest
from numpy.typing import NDArray

import qwf_async
from qwf_async import sources
from qwf_async.errors import InvalidInput, UsageError
from qwf_async.lattice.grid import Grid
from qwf_async.store.stored_frame import source_on
from tests.conftest import Server
from tests.support.command import Outcome, Shell

pytestmark = pytest.mark.anyio

GRID = Grid.of((32,), box=(16.0,), frames=6, dt=0.25)


async def stored_run(store: qwf_async.Store, name: str) -> NDArray[np.complex128]:
    run = sources.evolve(sources.gaussian(k=1, grid=GRID), "harmonic", steps=10)
    with closing(run):
        await qwf_async.ingest(run, store, name, overwrite=True)
    return np.asarray(await (await store.open(name)).read[...])


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_run_goes_on_from_its_name(server: Server, tmp_path: Path) -> None:
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    text = "evolve:potential=harmonic,steps=10,initial=begun,start=0.5"
    go_on = ("ingest", text, "--frames", "4", "--name", "further")
    async with qwf_async.connect(server.url) as store:
        whole = await stored_run(store, "begun")

        async def qwf(*words: str) -> Outcome:
            return await anyio.to_thread.run_sync(partial(shell.qwf, *words))

        dry = await qwf(*go_on, "--dry-run", "--json")
        assert dry.status == 0, dry.err
        facts = json.loads(dry.out)
        assert (facts["shape"], facts["axes"][0]["origin"]) == ([4, 32, 1, 1], 0.5)
        spec = "evolve:potential=harmonic,omega=1,centre=0,initial=begun,frame=2,steps=10,absorb=0"
        assert facts["source"] == spec
        done = await qwf(*go_on)
        assert done.status == 0, done.err
        assert np.array_equal(await (await store.open("further")).read[...], whole[2:])
        repeated = await qwf(*go_on, "--resume")
        assert (repeated.status, "stored already" in repeated.err) == (0, True)
        await stored_run(store, "begun")
        resumed = await qwf(*go_on, "--resume")
        assert resumed.status == 8, "another generation is another source"
        options: dict[str, Any]
        for text, options, message in (
            ("begun", {"grid": "64x1"}, "initial=begun has 32x1x1 points a frame, and the grid 64x1x1"),
            ("begun", {"box": "8"}, "initial=begun lies from -8 to 8 bohr along x"),
            ("begun,frame=6", {}, "frame=6: begun has 6 frames"),
            ("gausian", {}, "no wavefunction 'gausian' .* nor is initial=gausian a state, a file"),
        ):
            with pytest.raises(InvalidInput, match=message):
                await source_on(store, f"evolve:initial={text}", frames=2, **options)
        with pytest.raises(UsageError, match="its initial state is no file"):
            await source_on(store, "evolve:initial=begun", frames=2, dims="x")


async def test_in_python_a_stored_frame_is_an_initial_state(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await stored_run(store, "python-run")
        psi = await store.open("python-run")
        frame = await qwf_async.stored_frame(store, "python-run", start=0.25)
        assert psi.manifest.generation in frame.fingerprint()
        on = sources.evolve(frame, "harmonic", frames=2, steps=10)
        assert np.array_equal(on.read(on.grid.whole), (await psi.read[...])[1:3])
        on.close()
        text = "evolve:potential=harmonic,initial=python-run,start=0.25,steps=10"
        await qwf_async.ingest(text, store, "text-run", grid=replace(GRID, shape=(3, 32, 1, 1)))
        again = await store.open("text-run")
        assert np.array_equal(await again.read[...], (await psi.read[...])[1:4])
