"""Observables and marginals of the page's API, beside what `observe` and `marginals` give."""

from __future__ import annotations

import json
from typing import Any

import anyio
import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.lattice.grid import Grid
from qwf_async.source import open_source, read_potential
from qwf_async.web.guarded import finite
from qwf_async.web.observing import hamiltonian_of
from tests.conftest import PATIENCE, Server
from tests.support.api import Answer, api_of
from tests.support.loads import leave_unfinished, wave

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

GRID = Grid.of((12, 8, 6), box=(12.0, 8.0, 6.0), frames=5, dt=0.2)


def rows(answer: Answer) -> list[dict[str, Any]]:
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.body.splitlines()]


async def test_rows_and_marginals_are_those_of_the_library(server: Server) -> None:
    psi = wave(*GRID.shape)
    psi[3] = 0  # where ⟨x⟩ is not defined
    async with qwf_async.connect(server.url) as store, api_of(server) as api:
        await qwf_async.ingest(sources.array(psi, GRID), store, "psi", layout="tile")
        observed = qwf_async.observe(store, "psi", potential=read_potential("harmonic:omega=2"), g=0.5)
        expected = [finite(row.to_json()) async for row in observed]
        given = await api.get("wavefunctions/psi/observed", potential="harmonic:omega=2", g=0.5)
        assert rows(given) == expected
        assert expected[3]["x"] is None
        plain = rows(await api.get("wavefunctions/psi/observed"))
        assert plain[1] == {key: expected[1][key] for key in plain[1]}
        assert {"kinetic", "sigma_p_z"} < {*plain[1]}
        found = (await api.get("wavefunctions/psi/marginals", t=-1)).json
        assert found["title"] == "psi   t = 0.8 ħ/Eh"
        for axis, curve, density in zip(
            "xyz", found["curves"], await qwf_async.marginals(store, "psi", 4), strict=True
        ):
            assert (curve["axis"], curve["x_label"]) == (axis, f"{axis} (bohr)")
            assert curve["y"] == density.tolist()
            assert len(curve["x"]) == len(density)


async def test_a_large_frame_is_not_held(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwf_async.web.observing.HELD_POINTS", GRID.frame_points - 1)
    async with qwf_async.connect(server.url) as store, api_of(server) as api:
        await qwf_async.ingest(sources.gaussian(sigma=1.5, grid=GRID), store, "psi")
        expected = [row.to_json() async for row in qwf_async.observe(store, "psi", sums_only=True)]
        assert rows(await api.get("wavefunctions/psi/observed")) == expected
        assert "kinetic" not in expected[0]


async def test_columns_have_units_of_the_axes_and_the_potential_of_an_evolution(server: Server) -> None:
    async with qwf_async.connect(server.url) as store, api_of(server) as api:
        grid = Grid.of((32,), box=(16.0,), frames=2, dt=0.1)
        source = open_source("evolve:potential=harmonic,omega=2,x0=1", grid=grid)
        await qwf_async.ingest(source, store, "psi")
        told = (await api.get("wavefunctions/psi/columns")).json
        assert told["columns"]["sigma_x"] == {"head": "σx", "unit": "bohr", "size": 1.0}
        assert told["columns"]["energy"]["unit"] == "Eh"
        assert (told["potential"], told["g"]) == ("harmonic:omega=2,centre=0", None)
        energies = [
            row["energy"]
            for row in rows(await api.get("wavefunctions/psi/observed", potential=told["potential"]))
        ]
        np.testing.assert_allclose(energies[0], energies[1], rtol=1e-3)


@pytest.mark.parametrize(
    ("source", "potential", "g"),
    [
        ("evolve:potential=free,initial=gaussian,k=1,g=2", "free", 2.0),
        ("evolve:potential=barrier,height=2,width=1,initial=psi.npy", "barrier:height=2,width=1", None),
        ("evolve:potential=os:system,initial=gaussian", None, None),
        ("evolve:potential=harmonic", None, None),
        ("hydrogen:n=2", None, None),
        ("a,b=c:d", None, None),
        ("", None, None),
    ],
)
def test_the_hamiltonian_of_a_source(source: str, potential: str | None, g: float | None) -> None:
    assert hamiltonian_of(source) == {"potential": potential, "g": g}


async def test_what_cannot_be_answered_is_said(server: Server) -> None:
    psi = wave(*GRID.shape)
    async with qwf_async.connect(server.url) as store, api_of(server) as api:
        await qwf_async.ingest(sources.array(psi), store, "psi", layout="tile")
        await leave_unfinished(server, sources.array(psi), 100, "half")
        for path, query, status, code in (
            ("nothing/observed", {}, 404, 7),
            ("half/observed", {"load": "true"}, 400, 7),
            ("psi/observed", {"generation": "0" * 16}, 409, 8),
            ("psi/observed", {"potential": "os:system"}, 400, 7),
            ("psi/observed", {"potential": "harmonic:omega=x"}, 400, 7),
            ("psi/observed", {"g": "nan"}, 400, 7),
            ("psi/marginals", {"t": 5}, 400, 7),
            ("psi/marginals", {"t": "x"}, 400, 7),
            ("psi/marginals", {"t": 0, "generation": "0" * 16}, 409, 8),
        ):
            answer = await api.get(f"wavefunctions/{path}", **query)
            assert (answer.status, answer.json["error"]["code"]) == (status, code), (path, query)
            assert "\n" not in answer.json["error"]["message"]
        with server.plain as client:
            *_, last = sorted(client.scan_iter("qwf:psi:*:t"))
            client.delete(last)
        *first, error = rows(await api.get("wavefunctions/psi/observed"))
        assert [row["frame"] for row in first] == [*range(len(first))]
        assert (len(first) < 5, error["error"]["code"]) == (True, 5)


async def test_nothing_more_is_read_for_a_client_that_has_left(server: Server) -> None:
    frames = 2000

    def reads() -> int:
        with server.plain as client:
            statistics = client.info("commandstats")
        return sum(statistics.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("hget", "hmget"))

    async with qwf_async.connect(server.url) as store, api_of(server) as api:

        async def read_by_others() -> int:
            before = reads()
            for _ in range(5):
                assert (await api.get("wavefunctions/psi/marginals", t=0)).status == 200
            return reads() - before

        grid = Grid.of((16,), box=(10.0,), frames=frames, dt=0.1)
        await qwf_async.ingest(sources.gaussian(grid=grid), store, "psi", layout="tile")
        theirs, before = await read_by_others(), reads()
        async with await anyio.connect_tcp(api.at.host, api.at.port) as line:
            await line.send(
                f"GET /api/wavefunctions/psi/observed?token={api.at.token} HTTP/1.1\r\n"
                f"Host: {api.at.host}:{api.at.port}\r\n\r\n".encode()
            )
            await line.receive()
        with anyio.fail_after(PATIENCE):
            while await read_by_others() != theirs:
                pass
        assert reads() - before < frames / 2
