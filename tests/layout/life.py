"""What every layout promises to whoever uses it: the life of a wavefunction, from ingest to removal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

import qwf_async
from qwf_async import Grid, sources
from qwf_async.cli.app import app
from qwf_async.layout import Form
from tests.conftest import Server
from tests.support.loads import ask, contents, leave_unfinished, wave
from tests.support.zarrs import opened, put

PSI = wave(2, 9, 11, 21)
GRID = Grid.of(PSI.shape[1:], frames=2, box=(4.0, 5.0, 6.0))


class LifeContract:
    """The life of a wavefunction in one layout. A subclass names it."""

    name: ClassVar[str]

    @pytest.mark.anyio
    @pytest.mark.usefixtures("small_chunks")
    async def test_it_is_ingested_read_changed_verified_observed_and_removed(self, server: Server) -> None:
        psi, source = PSI.copy(), sources.array(PSI, GRID)
        async with qwf_async.connect(server.url) as store:
            report = await qwf_async.ingest(source, store, "psi", layout=self.name, verify=True)
            assert report.layout == self.name
            held = await store.open("psi")
            assert len(held.manifest.plan) > 1
            assert np.array_equal(await held.read[...], psi)
            assert np.array_equal(await held.read[1, 2:7, ::3, 4], psi[1, 2:7, ::3, 4])
            assert await held.point(3, 4, 5, 1) == psi[1, 3, 4, 5]
            points = np.random.default_rng(3).integers(0, PSI.shape, (200, 4))
            assert np.array_equal(
                await held.read_points(points[:, (1, 2, 3, 0)]), psi[tuple(points.T)]
            )  # x, y, z, t
            assert not (await qwf_async.verify(store, "psi", source)).differences

            psi[1, 3, 4, 5] = 7 - 8j
            await held.update(3, 4, 5, 1, value=7 - 8j)
            psi[0, 1:4, 2:9, 3:20] = wave(3, 7, 17, seed=5)
            await held.update_region((0, slice(1, 4), slice(2, 9), slice(3, 20)), psi[0, 1:4, 2:9, 3:20])
            assert np.array_equal(await held.read[...], psi)
            verified = await qwf_async.verify(store, "psi")
            assert (verified.differences, bool(verified.changed)) == ([], True)

            norms = [frame.norm async for frame in qwf_async.observe(store, "psi")]
            cell = GRID.cell_volume
            assert cell is not None
            np.testing.assert_allclose(norms, [np.sum(np.abs(frame) ** 2) * cell for frame in psi], rtol=1e-9)

            await qwf_async.ingest(sources.array(PSI[:1]), store, "psi", layout=self.name, overwrite=True)
            assert np.array_equal(await (await store.open("psi")).read[...], PSI[:1])
            await store.remove("psi")
        assert not [key for key in contents(server) if key.startswith(b"qwf:psi:")]

    @pytest.mark.anyio
    async def test_an_estimate_tells_what_it_would_take_and_leaves_nothing(self, server: Server) -> None:
        async with qwf_async.connect(server.url) as store:
            estimates = await qwf_async.estimate(sources.array(PSI, GRID), store)
        ours = [estimate for estimate in estimates if estimate.layout == self.name]
        assert [estimate.codec for estimate in ours][:2] == ["c16", "c8"]
        assert all(estimate.bytes > PSI.size * 8 for estimate in ours)
        assert not contents(server)

    @pytest.mark.anyio
    @pytest.mark.usefixtures("small_chunks", "time_to_settle")
    async def test_what_a_server_lost_of_an_unfinished_load_is_written_again(self, server: Server) -> None:
        source = sources.array(PSI, GRID)
        await leave_unfinished(server, source, 2000, layout=self.name)
        with server.plain as client:
            (key, *_) = client.keys("qwf:psi:*")
            client.delete(key)
        async with qwf_async.connect(server.url) as store:
            await qwf_async.ingest(source, store, "psi", layout=self.name, resume=True)
            assert np.array_equal(await (await store.open("psi")).read[...], PSI)

    @pytest.mark.anyio
    async def test_what_nobody_knows_of_it_is_found_and_removed(self, server: Server) -> None:
        gone = "0123456789abcdef"
        form = Form.of(layout=self.name, codec="c16", shape=PSI.shape)
        keys = list(form.keys(f"qwf:psi:{{{gone}.".encode()))
        with server.plain as client:
            for key in keys:
                client.hset(key, "a", "b")
        async with qwf_async.connect(server.url) as store:
            (orphan,) = await store.orphans(remove=True)
        assert (orphan.name, orphan.generation, orphan.keys) == ("psi", gone, len(keys))
        assert not ask(server, "KEYS", "qwf:psi:*")

    def test_zarr_reads_it(self, server: Server) -> None:
        with put(server, PSI, layout=self.name) as store:
            np.testing.assert_array_equal(opened(store)[:], PSI)

    def test_the_command_line_knows_it(self, server: Server, tmp_path: Path) -> None:
        np.save(tmp_path / "psi.npy", PSI)

        def qwf(*arguments: str) -> Any:
            outcome = CliRunner().invoke(app, [*arguments, "-u", server.url, "--json"])
            assert outcome.exit_code == 0, outcome.output
            return json.loads(outcome.stdout.splitlines()[-1])

        file = str(tmp_path / "psi.npy")
        assert qwf("ingest", file, "--layout", self.name, "--dry-run")["layout"] == self.name
        assert qwf("ingest", file, "--layout", self.name, "--quiet")["layout"] == self.name
        assert qwf("info", "psi")["layout"] == self.name
        assert self.name in {estimate["layout"] for estimate in qwf("estimate", file)}
        qwf("verify", "psi", "--quiet")
        qwf("rm", "psi")
        assert not ask(server, "KEYS", "qwf:psi:*")

    def test_the_shell_is_offered_it(self) -> None:
        words = f"qwf ingest psi.npy --layout {self.name[:2]}"
        environment = {"COMP_WORDS": words, "COMP_CWORD": "4", "_QWF_COMPLETE": "complete_bash"}
        outcome = CliRunner().invoke(app, [], prog_name="qwf", env=environment)
        assert outcome.stdout.split() == [self.name]
