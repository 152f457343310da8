"""The values that the API gives, of what is published and of a load under way, and its list."""

from __future__ import annotations

import random
from functools import partial

import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from tests.conftest import Server
from tests.store.test_unpublished import forget_some, held_points
from tests.support.api import api_of
from tests.support.loads import leave_unfinished, wave
from tests.support.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

SHAPE = (3, 17, 13, 11)


@pytest.mark.parametrize(("layout", "codec"), [("flat", "text10"), ("packed", "c8"), ("tile", "c16")])
async def test_values_of_a_load_come_with_which_of_them_are_stored(
    server: Server, layout: str, codec: str
) -> None:
    psi = wave(*SHAPE)
    await leave_unfinished(server, sources.array(psi), psi.size, layout=layout, codec=codec)
    forget_some(server, random.Random(layout), 0.4)
    held = held_points(server)
    async with api_of(server) as api:
        for query, index in (
            ({"t": 1, "z": -1}, np.s_[1, :, :, -1]),
            ({"t": 2, "max": 5}, np.s_[2, ::4, ::3, ::3]),
            ({"y": 4, "z": "3:9:2"}, np.s_[:, :, 4, 3:9:2]),
        ):
            answer = await api.get("wavefunctions/psi/values", load="true", **query)
            assert (answer.status, len(answer.body)) == (200, 9 * held[index].size)
            assert np.array_equal(answer.stored, held[index])
            np.testing.assert_allclose(answer.values, np.where(held, psi, 0)[index], rtol=1e-6, atol=1e-9)
        assert (await api.get("wavefunctions/psi/values", t=0, z=0)).status == 404
        told = (await api.get("wavefunctions/psi", load="true")).json
        assert (told["shape"], told["load"]["held"], told["state"]) == ([*SHAPE], False, "interrupted")
        assert [axis["size"] for axis in told["axes"]] == [*SHAPE]
        assert told["load"]["generation"] == told["generation"] == answer.headers["x-qwf-generation"]
        assert (await api.get("wavefunctions/psi")).status == 404


async def test_values_beyond_complex64_are_not_finite(server: Server) -> None:
    psi = wave(2, 3, 4, 5)
    psi[0, 1, 2, 3] = 1e100 - 2j
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(psi), store, "psi", layout="tile")
    async with api_of(server) as api:
        answer = await api.get("wavefunctions/psi/values", t=0)
    with np.errstate(over="ignore"):
        assert np.array_equal(answer.values, psi[0].astype("c8"))


async def test_frames_of_a_simulation_appear_one_by_one(server: Server) -> None:
    psi = wave(4, 10, 10, 10)
    async with qwf_async.connect(server.url) as store, api_of(server) as api:
        assert (await api.get("wavefunctions/psi/values", load="true")).status == 404
        async with qwf_async.create(
            store, "psi", qwf_async.Grid.of((10, 10, 10), frames=4), layout="tile"
        ) as writer:
            for number in range(4):
                await writer.write(psi[number])
                await until(partial(lambda done: writer.missing_frames()[:1] in ([done], []), number + 1))
                answer = await api.get("wavefunctions/psi/values", z=3, load="true")
                assert np.array_equal(answer.stored.all(axis=(1, 2)), np.arange(4) <= number)
                assert np.array_equal(answer.values[: number + 1], psi[: number + 1, :, :, 3].astype("c8"))
            generation = answer.headers["x-qwf-generation"]
            told = (await api.get("wavefunctions/psi", load="true")).json
            assert (told["state"], told["load"]["done"], told["load"]["held"]) == ("loading", 1.0, True)
        gone = await api.get("wavefunctions/psi/values", z=3, load="true", generation=generation)
        assert (gone.status, gone.json["error"]["code"]) == (404, 7)
        answer = await api.get("wavefunctions/psi/values", z=3, generation=generation)
        assert np.array_equal(answer.values, psi[..., 3].astype("c8"))


async def test_list_is_sent_again_only_if_it_has_changed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwf_async.web.listed.PAUSE", 0)
    psi = wave(*SHAPE)
    async with qwf_async.connect(server.url) as store, api_of(server) as api:
        first = await api.get("wavefunctions")
        assert first.json == {"wavefunctions": []}
        await qwf_async.ingest(sources.array(psi), store, "a")
        await leave_unfinished(server, sources.array(psi), 1000, "b")
        second = await api.get("wavefunctions", headers={"If-None-Match": first.headers["etag"]})
        a, b = second.json["wavefunctions"]
        assert (a["name"], a["state"], a["load"]) == ("a", "published", None)
        assert a["bytes"] > 16 * psi.size
        assert a["age_seconds"] >= 0
        assert (b["name"], b["state"], b["load"]["rate"], b["bytes"]) == ("b", "interrupted", None, None)
        assert 0 < b["load"]["done"] < 1
        third = await api.get("wavefunctions")
        assert third.json["wavefunctions"][1]["load"]["rate"] == 0.0
        tag = third.headers["etag"]
        fourth = await api.get("wavefunctions", headers={"If-None-Match": tag})
        assert (fourth.status, fourth.body) == (304, b"")
        await qwf_async.ingest(sources.array(psi), store, "a", overwrite=True, layout="tile")
        await store.remove("b")
        with server.plain as client:
            client.hset("qwf:names", "c", "x")
            client.set("qwf:{c}:meta", "something else")
        fifth = await api.get("wavefunctions", headers={"If-None-Match": tag})
        a, c = fifth.json["wavefunctions"]
        assert (a["layout"], c["state"]) == ("tile", "damaged")
        with server.plain as client:
            client.delete("qwf:{a}:meta")
            client.set("qwf:{a}:meta", "something else")
        again = await api.get("wavefunctions")
        assert [entry["state"] for entry in again.json["wavefunctions"]] == ["damaged"] * 2
