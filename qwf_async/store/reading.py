"""Reading stored values: requests are sent, and their replies decoded into the result.

Memory is bounded by the result and a few boxes of about 65,536 points that are being read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from ..client.connection import now
from ..client.following import exchange
from ..client.guard import HEAD_BYTES, reply_limit
from ..client.node import Node
from ..client.parallel import in_parallel
from ..client.pool import Pool
from ..client.reply import are_values, is_text_or_none
from ..errors import Refused, ServerUnavailable
from ..lattice.grid import Box
from ..lattice.plan import c_range, points_of
from ..lattice.selection import SelectedBox
from ..layout import Layout
from ..layout.base import WholeHashes
from ..server.output_limit import CutOff, fetch_at_once
from ..wire.batch import Buffer, Part
from ..wire.codec import is_value, stored_dtype
from ..wire.fetch import Fetch
from .read_costs import are_small, is_scattered, reply_bytes
from .replicas_first import replicas_first

T = TypeVar("T")

MAX_POINTS_IN_PLACE: Final = 2048
"""Points up to which a box is encoded and decoded on the event loop: that is quicker than to reach a thread."""


async def read_box(pool: Pool, layout: Layout, box: Box) -> NDArray[Any]:
    """The values of a box, [t, x, y, z] in the dtype of the codec (complex128 for text).

    Memory is a few times that of the box, so callers cut large ones. It is tried again while
    the server is unavailable. Raises DamagedData if a value is missing or malformed, Refused if
    the server refuses, and ServerUnavailable if it stays away.
    """
    values = np.empty(box.shape, stored_dtype(layout.codec))
    await _read(pool, layout, box, values, small=box.points <= MAX_POINTS_IN_PLACE)
    return values


@replicas_first
async def read_point(pool: Pool, layout: Layout, point: Box) -> complex:
    """The value of a box of one point. Before and after the request it costs two thirds of what `read_box` does.

    Raises as `read_box`.
    """
    (part,) = layout.requests(point)
    replies = await _exchange(
        pool, part.key, part.buffers, part.fields, layout.field_bytes, lambda request: part.key.decode()
    )
    value: complex = layout.values(point, replies).item()
    return value


@replicas_first
async def read_field(pool: Pool, layout: Layout, box: Box) -> bytes:
    """The bytes of the one field that holds a box, as they are stored. Raises as `read_box`."""
    (part,) = layout.requests(box)
    ((value,),) = replies = await _exchange(
        pool, part.key, part.buffers, part.fields, layout.field_bytes, lambda request: part.key.decode()
    )
    if not is_value(value, layout.field_bytes):
        layout.values(box, replies)  # raises DamagedData
    return bytes(value)


async def read_pieces(
    pool: Pool,
    layout: Layout,
    pieces: Iterable[SelectedBox],
    result: NDArray[Any],
    *,
    readers: int,
    done: Callable[[int], object] = lambda points: None,
) -> None:
    """Read the boxes of a selection into `result`, [t, x, y, z], up to `readers` at a time.

    `done` is called with the number of points of each box when they are in the result. Raises as `read_box`.
    """

    dtype = stored_dtype(layout.codec)

    async def read(piece: SelectedBox) -> None:
        small, place = piece.box.points <= MAX_POINTS_IN_PLACE, result[piece.into]
        if place.shape == piece.box.shape and place.dtype == dtype and _is_contiguous_along_z(place):
            await _read(pool, layout, piece.box, place, small=small)
        else:
            values = np.empty(piece.box.shape, dtype)
            await _read(pool, layout, piece.box, values, small=small)
            place[...] = values[piece.taken]
        done(place.size)

    await in_parallel(read, pieces, readers)


def _is_contiguous_along_z(values: NDArray[Any]) -> bool:
    return values.shape[-1] == 1 or values.strides[-1] == values.itemsize


@replicas_first
async def read_scattered(
    pool: Pool, layout: Layout, points: NDArray[Any], result: NDArray[Any], *, readers: int
) -> None:
    """Read points, int64 [N, 4] in the order t, x, y, z, into `result` [N]. Raises as `read_box`."""
    if len(pool.nodes) > 1:
        await _read_from_nodes(pool, layout, points, result, readers=readers)
    else:
        await _read_points(pool, layout, points, result, readers=readers)


@replicas_first
async def _read_from_nodes(
    pool: Pool, layout: Layout, points: NDArray[Any], result: NDArray[Any], *, readers: int
) -> None:
    """As `read_scattered`: each node is asked for the points that it has. What it does not give is looked for anew."""
    left, since, failures = np.arange(len(points)), now(), 0
    while len(left):
        groups = layout.plan.holding_each(points[left]) * (not layout.one_hash)
        shares = list(pool.nodes_of(layout.base, groups))
        missing: list[NDArray[np.int64]] = []
        errors: list[ServerUnavailable] = []

        async def read(
            share: tuple[Node, NDArray[np.int64]],
            rows: NDArray[np.int64] = left,
            missing: list[NDArray[np.int64]] = missing,
            errors: list[ServerUnavailable] = errors,
        ) -> None:
            node, its = share
            values = np.empty(len(its), result.dtype)
            try:
                await _read_points(pool, layout, points[rows[its]], values, readers=readers, node=node)
            except ServerUnavailable as error:
                errors.append(error)
                missing.append(rows[its])
            else:
                result[rows[its]] = values

        await in_parallel(read, shares, readers)
        left = np.concatenate(missing) if missing else left[:0]
        if errors:
            failures += 1
            pause = pool.retry.pause(failures, now() - since)
            if pause is None:
                raise errors[0]
            await anyio.sleep(pause)


async def _read_points(
    pool: Pool,
    layout: Layout,
    points: NDArray[Any],
    result: NDArray[Any],
    *,
    readers: int,
    node: Node | None = None,
) -> None:
    """As `read_scattered`, from one node that has all of them, which is asked once if it is given."""

    async def in_halves(fetch: Fetch) -> None:
        for rows in np.array_split(fetch.rows, 2):
            half = np.empty(len(rows), result.dtype)
            await _read_points(pool, layout, points[rows], half, readers=1, node=node)
            result[rows] = half

    async def read(fetch: Fetch) -> None:
        fields = int(fetch.counts.sum())
        size = fields * (fetch.field_bytes + HEAD_BYTES)
        if size > pool.reply_bytes and fields > 1:
            await in_halves(fetch)
            return
        small = len(fetch.rows) <= MAX_POINTS_IN_PLACE
        buffer = await _run(lambda: fetch.buffer, small=small)
        try:
            counts = fetch.counts.tolist()
            to = node or fetch.key_of(0).encode()
            replies = await _exchange(pool, to, [buffer], counts, fetch.field_bytes, fetch.key_of)
        except CutOff:
            if fields == 1:
                raise
            pool.reply_bytes = min(pool.reply_bytes, size // 2)
            await in_halves(fetch)
            return

        def decode() -> None:
            result[fetch.rows] = fetch.values(replies)

        await _run(decode, small=small)

    fetches = await _run(lambda: list(layout.fetches(points)), small=len(points) <= MAX_POINTS_IN_PLACE)
    await in_parallel(read, fetches, readers)


@replicas_first
async def _read(pool: Pool, layout: Layout, box: Box, into: NDArray[Any], *, small: bool) -> None:
    """Read a box into an array of it, in halves if the server cuts the reply off for its size.

    `into` has the dtype of what is read, and is contiguous along z.
    """
    if is_scattered(layout, box):
        points = await _run(partial(points_of, box), small=small)
        values = np.empty(len(points), into.dtype)
        await read_scattered(pool, layout, points, values, readers=1)
        into[...] = values.reshape(box.shape)
        return
    if len(pool.nodes) > 1 and not layout.one_hash and layout.plan.touched_count(box) > 1:
        line, along = layout.in_line, c_range(layout.plan.shape, box)
        if (
            line is not None
            and along is not None
            and into.flags.c_contiguous
            and line.plan.shape != layout.plan.shape
        ):
            # As a row each chunk is one box, not up to seven.
            row = Box(start=(0, 0, 0, along[0]), stop=(1, 1, 1, along[1]))
            await _read(pool, line, row, into.reshape(row.shape), small=small)
            return
        pieces = [piece for _, parts in layout.plan.touched(box) for piece in parts]
        if pieces != [box]:  # each lies on one node
            if are_small(pieces, box) and reply_bytes(layout, box) <= pool.reply_bytes:
                with suppress(ServerUnavailable, CutOff):
                    await _read_by_node(pool, layout, box, into, small=small)
                    return

            async def read(piece: Box) -> None:
                in_place = small or piece.points <= MAX_POINTS_IN_PLACE
                await _read(pool, layout, piece, into[piece.within(box)], small=in_place)

            await in_parallel(read, pieces, len(pool.nodes))
            return
    size, halves = reply_bytes(layout, box), None
    if size <= pool.reply_bytes or (halves := box.halves(layout.grain)) is None:
        try:
            await _read_at_once(pool, layout, box, into, small=small)
        except CutOff:
            halves = box.halves(layout.grain)
            if halves is None:
                raise
            pool.reply_bytes = min(pool.reply_bytes, size // 2)
        else:
            return
    *boxes, _ = halves
    for half in boxes:
        await _read(pool, layout, half, into[half.within(box)], small=small)


async def _read_by_node(pool: Pool, layout: Layout, box: Box, into: NDArray[Any], *, small: bool) -> None:
    """Read a box that lies on several nodes by one exchange with each of them, which is not tried again."""
    parts = await _run(partial(layout.requests, box), small=small)
    by_node: dict[Node, list[int]] = {}
    for number, part in enumerate(parts):
        by_node.setdefault(pool.node_of(part.key), []).append(number)
    found: dict[int, list[Any]] = {}

    async def ask(share: tuple[Node, list[int]]) -> None:
        node, numbers = share
        own = [parts[number] for number in numbers]
        buffers = [buffer for part in own for buffer in part.buffers]
        counts = [count for part in own for count in part.fields]
        keys = [part.key for part in own for _ in range(part.requests)]
        replies = await _exchange(
            pool, node, buffers, counts, layout.field_bytes, lambda request: keys[request].decode()
        )
        rest = iter(replies)
        found.update((number, list(islice(rest, parts[number].requests))) for number in numbers)

    await in_parallel(ask, by_node.items(), len(pool.nodes))
    replies = [reply for number in range(len(parts)) for reply in found[number]]

    def decode() -> None:
        into[...] = layout.values(box, replies)

    await _run(decode, small=small)


async def _read_at_once(pool: Pool, layout: Layout, box: Box, into: NDArray[Any], *, small: bool) -> None:
    """Read a box into an array of it: its hashes as bytes if that can be, else field by field."""
    dumped = pool.dumps and (pool.dumps_listpacks or not layout.listpack_fields)
    while True:
        whole, parts = await _run(partial(_planned, layout, box, dumped=dumped), small=small)
        if whole is None:
            break
        if await _fetch_whole(pool, layout.place(box.start).key, whole):
            if await _run(partial(whole.values, into), small=small):
                return
        elif whole.dumped:
            await _note_no_dump(pool, layout, box)
        if not whole.dumped:
            parts = await _run(partial(layout.requests, box), small=small)
            break
        dumped = False
    buffers = [buffer for part in parts for buffer in part.buffers]
    counts = [count for part in parts for count in part.fields]

    def key_of(request: int) -> str:
        return [part.key for part in parts for _ in range(part.requests)][request].decode()

    replies = await _exchange(pool, parts[0].key, buffers, counts, layout.field_bytes, key_of)

    def decode() -> None:
        into[...] = layout.values(box, replies)

    await _run(decode, small=small)


def _planned(layout: Layout, box: Box, *, dumped: bool) -> tuple[WholeHashes | None, Sequence[Part]]:
    """How to read a box: its hashes whole, by DUMP if `dumped` and quicker; or else by requests."""
    whole = layout.whole(box, dumped=dumped)
    return whole, layout.requests(box) if whole is None else ()


async def _fetch_whole(pool: Pool, key: bytes, whole: WholeHashes) -> bool:
    """Fetch whole hashes as bytes. False if the bytes are not those of hashes with the fields that they must have.

    The box is then read again field by field. That finds what is missing, or gives the values if
    only the order of the fields differed, as in a bucket that is no listpack.
    """

    async def fetch() -> bool:
        async with pool.connection(key) as connection:
            return await connection.exchange_raw([whole.request], whole.data.data, whole.match)

    return await fetch_at_once(pool, key, whole.data.nbytes, fetch, doing="reading whole hashes")


async def _note_no_dump(pool: Pool, layout: Layout, box: Box) -> None:
    """Learn from replies to DUMP that were not as expected: the server may forbid it, or compress listpacks.

    It is tried with a key beside one that is there.
    """
    try:
        await pool.call("DUMP", layout.place(box.start).key + b":none", expect=is_text_or_none)
    except Refused:
        pool.dumps = False
    else:
        pool.dumps_listpacks = pool.dumps_listpacks and not layout.listpack_fields


async def _exchange(
    pool: Pool,
    to: bytes | Node,
    buffers: Sequence[Buffer],
    counts: Sequence[int],
    field_bytes: int,
    key_of: Callable[[int], str],
) -> list[Any]:
    """The replies to requests for `counts` fields each, of at most `field_bytes`, from a node or that which has a key.

    `key_of` gives the key of a request, for the error if it is refused.
    """
    limit = reply_limit(sum(counts), field_bytes, replies=len(counts))

    async def fetch() -> list[Any]:
        return await exchange(
            pool,
            to,
            buffers,
            len(counts),
            expect=lambda number, reply: are_values(reply, counts[number]),
            doing=lambda number: f"reading {key_of(number)}",
            limit=limit,
        )

    size = sum(counts) * (field_bytes + HEAD_BYTES)
    return await fetch_at_once(pool, to, size, fetch, doing=f"reading {key_of(0)}")


async def _run(job: Callable[[], T], *, small: bool) -> T:
    """The result of a job, which runs in place if it is small, and else in a thread."""
    return job() if small else await anyio.to_thread.run_sync(job)
