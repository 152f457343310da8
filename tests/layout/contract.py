"""What every layout promises (`layout/base`), as tests that a layout passes by inheriting them.

A subclass names its layout. Requests are sent as the bytes that they are, over a connection
of plain redis-py, and what the server then holds is looked at by plain redis-py. The twin
that values are compared with is a NumPy array.
"""

from __future__ import annotations

import math
import re
from contextlib import closing
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qwf_async.errors import DamagedData, InvalidInput, UsageError
from qwf_async.lattice.grid import Box, shape4
from qwf_async.lattice.plan import BoxPlan, RangePlan
from qwf_async.layout import LAYOUTS, Form
from qwf_async.wire.codec import CODECS, digest, stored
from tests.conftest import Server
from tests.layout.layout_cases import (
    BASE,
    ORDERS,
    LayoutCase,
    as_stored,
    boxes,
    hashes,
    parsed,
    plans,
    send,
    send_parts,
)
from tests.support.loads import wave

examples = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
"""Each example begins with an empty server; each layout inherits the tests."""


class LayoutContract:
    """The promises of one layout. A subclass names it."""

    name: ClassVar[str]

    def forms(self) -> st.SearchStrategy[Form]:
        """Forms of the layout on small grids, with tiles of any shape if it has tiles."""

        @st.composite
        def drawn(draw: st.DrawFn) -> Form:
            shape = shape4(draw(st.tuples(*(st.integers(1, n) for n in (2, 5, 9, 70)))))
            tile = None
            if LAYOUTS[self.name].default_tile(shape) is not None and draw(st.booleans()):
                a, b, c = (draw(st.integers(1, n)) for n in shape[1:])
                tile = (a, b, c)
            codec = draw(st.sampled_from(list(LAYOUTS[self.name].codecs)))
            order = draw(st.sampled_from(ORDERS))
            form = Form.of(layout=self.name, codec=codec, shape=shape, order=order, tile=tile)
            one_hash = LAYOUTS[self.name].slabs and draw(st.booleans())
            return replace(form, plan=draw(plans(form, order)), one_hash=one_hash)

        return drawn()

    def case(self, data: st.DataObject) -> LayoutCase:
        form = data.draw(self.forms())
        return LayoutCase.of(form, by_restore=data.draw(st.booleans()), seed=data.draw(st.integers(0, 9)))

    def store(self, client: redis.Redis, case: LayoutCase) -> None:
        client.flushall()
        for batch in case.batches():
            replies = send_parts(client, batch.parts)
            assert not [reply for reply in replies if isinstance(reply, Exception)]

    @examples
    @given(data=st.data())
    def test_what_is_encoded_lies_under_the_keys_and_is_encoded_alike_again(
        self, each_server: Server, data: st.DataObject
    ) -> None:
        case = self.case(data)
        with each_server.plain as client:
            self.store(client, case)
            first = hashes(client)
            assert sorted(first) == sorted(case.form.keys(BASE))
            ending = case.layout.key_ending.replace(b"%d", rb"(0|[1-9]\d*)")
            assert all(re.fullmatch(re.escape(BASE) + ending, key) for key in first)
            for group in range(case.form.groups):
                tag = BASE + b"%d}" % group
                assert all(key.startswith(tag) for key in case.layout.keys(group))
            counts = case.layout.counts
            assert (counts.keys, counts.fields) == (len(first), sum(map(len, first.values())))
            sizes = [len(value) for fields in first.values() for value in fields.values()]
            assert max(sizes) <= case.layout.field_bytes
            again = LayoutCase.of(case.form)  # as HSET, which leaves what is there as it is
            for batch in again.batches():
                send_parts(client, batch.parts)
            assert sorted(hashes(client)) == sorted(first)

    @examples
    @given(data=st.data())
    def test_a_batch_says_what_it_is_of(self, data: st.DataObject) -> None:
        case = self.case(data)
        for chunk, batch in zip(case.form.plan, case.batches(), strict=True):
            values = case.values_of(chunk)
            assert (batch.chunk, batch.points, batch.weight) == (chunk.number, chunk.points, 0.5)
            assert batch.digest == digest(case.form.codec, values)
            assert np.array_equal(batch.values, values)
            group = case.form.group_of(chunk.number)
            for part in batch.parts:
                assert part.key in list(case.layout.keys(group))
                assert [command[1] for command in parsed(part)] == [
                    part.key_of(number) for number in range(part.requests)
                ]

    @examples
    @given(data=st.data())
    def test_any_box_is_read_as_numpy_cuts_it(self, server: Server, data: st.DataObject) -> None:
        case = self.case(data)
        with server.plain as client:
            self.store(client, case)
            for box in (case.whole, data.draw(boxes(case.form.shape))):
                parts = case.layout.requests(box)
                replies = send_parts(client, parts)
                assert [len(reply) for reply in replies] == [n for part in parts for n in part.fields]
                values = case.layout.values(box, replies)
                assert values.dtype == case.expected.dtype
                assert np.array_equal(values, case.expected[box.slices])

    @examples
    @given(data=st.data())
    def test_a_box_that_is_read_whole_is_the_same_box(self, server: Server, data: st.DataObject) -> None:
        case = self.case(data)
        box = data.draw(st.just(case.whole) | boxes(case.form.shape))
        if (whole := case.layout.whole(box, dumped=data.draw(st.booleans()))) is None:
            return
        with server.plain as client:
            client.config_set("rdbcompression", "no")
            self.store(client, case)
            connection: Any = client.connection_pool.get_connection()
            with closing(connection._sock.dup()) as socket:
                socket.setblocking(True)
                socket.sendall(whole.request)
                room, place = whole.data.data, 0
                while place < len(room):
                    taken = socket.recv_into(room[place:])
                    assert whole.match(place, place + taken)
                    place += taken
            client.connection_pool.release(connection)
        values = np.full((*box.shape[:3], box.shape[3] + 2), np.nan, case.expected.dtype)
        assert whole.values(values[..., 1:-1])
        assert np.array_equal(values[..., 1:-1], case.expected[box.slices])
        assert np.isnan(values[..., [0, -1]]).all()
        whole.data[0] ^= 1
        assert not whole.match(0, len(whole.data))

    @examples
    @given(data=st.data())
    def test_points_that_lie_anywhere_are_read_in_their_order(
        self, server: Server, data: st.DataObject
    ) -> None:
        case = self.case(data)
        chance = np.random.default_rng(data.draw(st.integers(0, 99)))
        points = chance.integers(0, case.form.shape, (data.draw(st.integers(1, 300)), 4))
        found = np.full(len(points), np.nan, case.expected.dtype)
        with server.plain as client:
            self.store(client, case)
            for fetch in case.layout.fetches(points):
                replies = send(client, [fetch.buffer], len(fetch.counts))
                assert [len(reply) for reply in replies] == fetch.counts.tolist()
                assert all(len(field) <= fetch.field_bytes for reply in replies for field in reply)
                found[fetch.rows] = fetch.values(replies)
        assert np.array_equal(found, case.expected[tuple(points.T)])

    @examples
    @given(data=st.data())
    def test_a_point_lies_where_the_layout_says(self, server: Server, data: st.DataObject) -> None:
        case = self.case(data)
        point = shape4(data.draw(st.integers(0, size - 1)) for size in case.form.shape)
        place = case.layout.place(point)
        with server.plain as client:
            self.store(client, case)
            field: Any = client.hget(place.key.decode(), place.field.decode())
        if place.nbytes is None:
            re_part, im_part = field[place.offset :].split(b",")
            assert complex(float(re_part), float(im_part)) == case.expected[point]
        else:
            value = field[place.offset : place.offset + place.nbytes]
            assert value == case.psi[point].tobytes()

    @examples
    @given(data=st.data())
    def test_a_box_is_changed_in_place_and_nothing_else(self, server: Server, data: st.DataObject) -> None:
        case = self.case(data)
        box = data.draw(boxes(case.form.shape))
        new = stored(case.form.codec, wave(*box.shape, seed=77))
        with server.plain as client:
            self.store(client, case)
            journals = self.journalled(client, case)
            touched = dict(case.form.plan.touched(box))
            for number, pieces in touched.items():
                for piece in pieces:
                    parts = case.layout.changes(number, piece, new[piece.within(box)])
                    assert set(send_parts(client, parts)) == {0}
            for number in range(len(case.form.plan)):
                key = journals[case.form.group_of(number)]
                assert client.hget(key, str(number)) == (b"stale" if number in touched else b"as it was")
            client.delete(*journals)
            values = case.layout.values(case.whole, send_parts(client, case.layout.requests(case.whole)))
        twin = case.expected.copy()
        twin[box.slices] = as_stored(case.form.codec, new)
        assert np.array_equal(values, twin)

    @examples
    @given(data=st.data())
    def test_a_change_where_a_field_is_missing_changes_nothing_and_names_it(
        self, server: Server, data: st.DataObject
    ) -> None:
        case = self.case(data)
        new = stored(case.form.codec, wave(*case.form.shape, seed=77))
        with server.plain as client:
            self.store(client, case)
            key = data.draw(st.sampled_from(sorted(case.form.keys(BASE))))
            field = data.draw(st.sampled_from(sorted(client.hkeys(key))))
            client.hdel(key, field)
            refused = []
            parts = [
                part
                for number, pieces in case.form.plan.touched(case.whole)
                for piece in pieces
                for part in case.layout.changes(number, piece, new[piece.within(case.whole)])
            ]
            for part in parts:
                before = client.hgetall(part.key)
                replies = send_parts(client, [part])
                if set(replies) != {0}:
                    refused.append((part.key, set(replies) - {0}))
                    assert part.requests > 1 or client.hgetall(part.key) == before
            assert refused == [(key, {field})]
            assert field not in client.hkeys(key)

    @examples
    @given(data=st.data())
    def test_marks_are_there_if_and_only_if_all_requests_were_applied(
        self, server: Server, data: st.DataObject
    ) -> None:
        case = self.case(data)
        chunk, batch = next(zip(case.form.plan, case.batches(), strict=True))
        requests = [command for part in batch.parts for command in parsed(part)]
        marks = case.layout.marks(chunk)
        lost = data.draw(st.integers(0, len(requests) - 1))
        with server.plain as client:
            client.flushall()
            for number, command in enumerate(requests):
                if number != lost:
                    client.execute_command(*command)
            with pytest.raises(DamagedData):
                self.fetched(client, case, marks)
            client.execute_command(*requests[lost])
            found = self.fetched(client, case, marks)
        assert np.array_equal(found, case.expected[tuple(marks.T)])

    @examples
    @given(data=st.data())
    def test_damage_is_named_by_key_and_field_on_every_road(
        self, server: Server, data: st.DataObject
    ) -> None:
        case = self.case(data)
        points = np.stack(np.unravel_index(np.arange(math.prod(case.form.shape)), case.form.shape), axis=1)
        with server.plain as client:
            self.store(client, case)
            key = data.draw(st.sampled_from(sorted(case.form.keys(BASE))))
            field = data.draw(st.sampled_from(sorted(client.hkeys(key))))
            if data.draw(st.booleans()):
                client.hdel(key, field)
                message = f"{key.decode()} lacks the field {field.decode()}"
            else:
                client.hset(key, field, b"odd")
                message = f"{key.decode()} holds 3 bytes .* in the field {field.decode()}$"
            replies = send_parts(client, case.layout.requests(case.whole))
            with pytest.raises(DamagedData, match=message):
                case.layout.values(case.whole, replies)
            with pytest.raises(DamagedData, match=message):
                self.fetched(client, case, points)

    @examples
    @given(data=st.data())
    def test_no_field_is_in_two_chunks_of_the_plan(self, data: st.DataObject) -> None:
        case = self.case(data)
        assert sum(chunk.points for chunk in case.form.plan) == case.psi.size
        fields = [
            (command[1], name)
            for batch in LayoutCase.of(case.form).batches()
            for part in batch.parts
            for command in parsed(part)
            for name in command[2::2]
        ]
        assert len(fields) == len(set(fields)) == case.layout.counts.fields

    def test_a_plan_of_another_kind_or_grid_is_refused(self) -> None:
        form = self.form((1, 8, 8, 8))
        plan = form.plan
        other = RangePlan.cut(form.shape) if isinstance(plan, BoxPlan) else BoxPlan.cut(form.shape)
        with pytest.raises(InvalidInput, match=f"the chunks do not fit layout {self.name} of"):
            replace(form, plan=other)

    @examples
    @given(data=st.data())
    def test_the_prediction_covers_the_values_and_the_peak_the_end(self, data: st.DataObject) -> None:
        form = data.draw(self.forms())
        least = math.prod(form.shape) * (8 if form.codec == "c8" else 16)
        for software in ("valkey", "redis"):
            for listpacks in (True, False):
                end = form.predicted_bytes(software, listpacks=listpacks, peak=False)
                assert least < end <= form.predicted_bytes(software, listpacks=listpacks)
                assert form.predicted_bytes(None, listpacks=listpacks, peak=False) >= end

    def test_a_field_that_is_a_chunk_of_zarr_is_its_values_in_c_order(self, server: Server) -> None:
        case = LayoutCase.of(self.form((2, 9, 8, 11)))
        if not case.layout.zarr_chunks:
            return
        grain = case.layout.grain
        with server.plain as client:
            self.store(client, case)
            for start in np.ndindex(*(-(-n // g) for n, g in zip(case.form.shape, grain, strict=True))):
                first = shape4(i * g for i, g in zip(start, grain, strict=True))
                last = shape4(min(a + g, n) for a, g, n in zip(first, grain, case.form.shape, strict=True))
                box = Box(start=first, stop=last)
                padded = np.zeros(grain, case.psi.dtype)
                padded[tuple(map(slice, box.shape))] = case.psi[box.slices]
                assert send_parts(client, case.layout.requests(box)) == [[padded.tobytes()]]

    def test_what_is_written_by_restore_is_what_is_written_by_hset(self, each_server: Server) -> None:
        for codec in LAYOUTS[self.name].codecs:
            form = self.form((2, 5, 7, 11), codec)
            probe = form.open(BASE).probe()
            with each_server.plain as client:
                client.flushall()
                if probe is not None:
                    assert send_parts(client, [probe.part]) == [b"OK"]
                    assert probe.part.key.startswith(BASE)
                    assert client.hgetall(probe.part.key) == probe.fields
                    assert not probe.listpack or client.object("encoding", probe.part.key) == b"listpack"
                    sent = form.open(BASE, by_restore=True)
                    chunk = form.plan[0]
                    batch = sent.encode(chunk, LayoutCase.of(form).values_of(chunk), 0.0)
                    assert max(part.nbytes // part.requests for part in batch.parts) <= probe.largest
                held = []
                for by_restore in (False, True):
                    self.store(client, LayoutCase.of(form, by_restore=by_restore))
                    held.append(hashes(client))
            assert held[0] == held[1]

    @examples
    @given(data=st.data())
    def test_a_batch_of_restore_can_be_made_one_of_hset(self, data: st.DataObject) -> None:
        form, seed = data.draw(self.forms()), data.draw(st.integers(0, 9))
        plain = LayoutCase.of(form, seed=seed).batches()
        for one, other in zip(LayoutCase.of(form, by_restore=True, seed=seed).batches(), plain, strict=True):
            assert other.as_hset is None
            assert (one if one.as_hset is None else one.as_hset()) == other

    def test_a_form_comes_back_from_json(self) -> None:
        form = self.form((1, 9, 8, 7))
        assert Form.from_json(form.to_json()) == form

    def test_parts_that_do_not_go_together_are_a_usage_error(self) -> None:
        layout = LAYOUTS[self.name]
        for codec in set(CODECS) - set(layout.codecs):
            with pytest.raises(UsageError, match=f"codec {codec} goes with .* not {self.name}"):
                self.form((1, 8, 8, 8), codec)
        tiled = layout.default_tile((1, 8, 8, 8)) is not None
        why = "do not fit a grid" if tiled else f"layout {self.name} has no tiles"
        with pytest.raises(UsageError, match=why):
            Form.of(layout=self.name, codec="c16", shape=(1, 8, 8, 8), tile=(9, 1, 1))

    def journalled(self, client: redis.Redis, case: LayoutCase) -> list[bytes]:
        """Journals that name all chunks, as a load leaves them: the key of each group's."""
        keys = [BASE + b"%d}:j" % group for group in range(case.form.groups)]
        for number in range(len(case.form.plan)):
            client.hset(keys[case.form.group_of(number)], str(number), "as it was")
        return keys

    def form(self, shape: tuple[int, int, int, int], codec: str = "c16") -> Form:
        return Form.of(layout=self.name, codec=codec, shape=shape)

    def fetched(self, client: redis.Redis, case: LayoutCase, points: NDArray[np.int64]) -> NDArray[Any]:
        """The values of points that lie anywhere."""
        found = np.empty(len(points), case.expected.dtype)
        for fetch in case.layout.fetches(points):
            found[fetch.rows] = fetch.values(send(client, [fetch.buffer], len(fetch.counts)))
        return found
