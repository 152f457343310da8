"""Plans whose chunks divide the blocks of producers, and regions of whole chunks."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.errors import UsageError
from qwf_async.lattice.blocks import TINY, Indivisible, regular, whole_chunks
from qwf_async.lattice.grid import Box, Shape4, shape4
from qwf_async.layout import Form
from tests.support.producers import GRID

sizes = st.integers(1, 40)


def form(layout: str, shape: Shape4, blocks: Shape4, **options: Any) -> Form:
    return Form.of(layout=layout, codec="c16", shape=shape, blocks=blocks, **options)


def cut(shape: Shape4, blocks: Shape4) -> list[Box]:
    """The grid in blocks, the last ones smaller."""
    starts = product(*(range(0, n, b) for n, b in zip(shape, blocks, strict=True)))
    return [
        Box(
            start=shape4(start),
            stop=shape4(min(a + b, n) for a, b, n in zip(start, blocks, shape, strict=True)),
        )
        for start in starts
    ]


@given(layout=st.sampled_from(["flat", "tile", "packed"]), data=st.data())
def test_each_block_is_whole_chunks_or_the_advised_blocks_are(layout: str, data: st.DataObject) -> None:
    shape = shape4(data.draw(st.tuples(sizes, sizes, sizes, sizes)))
    # At most seven blocks along each axis: a grid of a million blocks shows nothing that one of two thousand does not.
    blocks = shape4(data.draw(st.tuples(*(st.integers(-(-n // 7), n) for n in shape))))
    try:
        cut_form = form(layout, shape, blocks)
    except Indivisible as error:
        blocks = error.advised or blocks
        cut_form = form(layout, shape, blocks)
    assert Form.from_json(cut_form.to_json()) == cut_form
    numbers = [whole_chunks(cut_form.plan, block) for block in cut(shape, blocks)]
    assert sorted(number for some in numbers for number in some) == list(range(len(cut_form.plan)))
    for some, block in zip(numbers, cut(shape, blocks), strict=True):
        assert sum(cut_form.plan[number].points for number in some) == block.points


@pytest.mark.parametrize(
    ("layout", "blocks", "chunk"),
    [
        ("flat", (1, 64, 64, 64), (1, 4, 64, 64)),
        ("flat", (2, 128, 128, 128), (1, 1, 128, 128)),
        ("flat", (1, 64, 60, 64), (1, 4, 60, 64)),
        ("tile", (1, 64, 64, 64), (1, 64, 64, 64)),
        ("tile", (1, 128, 32, 128), (1, 64, 32, 128)),
    ],
)
def test_chunks_are_about_as_large_as_those_of_an_ingest(layout: str, blocks: Shape4, chunk: Shape4) -> None:
    assert form(layout, (8, 128, 128, 128), blocks).plan.to_json()["chunk"] == list(chunk)


@pytest.mark.parametrize(
    ("layout", "blocks", "advised"),
    [
        ("tile", (1, 50, 64, 64), (1, 64, 64, 64)),
        ("packed", (1, 64, 64, 64), (1, 16, 128, 128)),
        ("packed", (1, 128, 128, 64), (1, 64, 128, 128)),
    ],
)
def test_refusal_says_how_to_rechunk(layout: str, blocks: Shape4, advised: Shape4) -> None:
    with pytest.raises(Indivisible, match=re.escape(f"array.rechunk({advised}) along t, x, y, z would do")):
        form(layout, (8, 128, 128, 128), blocks)


@pytest.mark.parametrize(
    ("layout", "shape", "blocks", "usual", "advised"),
    [
        ("flat", (1, 10**7, 1, 1), (1, 100_003, 1, 1), None, (1, 131_072, 1, 1)),  # a prime
        ("flat", (8, 128, 128, 128), (1, 128, 1, 1), (1, 128, 40, 64), (1, 128, 32, 64)),
        ("tile", (8, 128, 128, 128), (1, 1, 128, 128), (1, 60, 128, 128), (1, 64, 128, 128)),
        ("packed", (100, 5, 40, 40), (1, 5, 40, 40), (25, 5, 40, 40), (24, 5, 40, 40)),
    ],
)
def test_tiny_chunks_are_refused(
    layout: str, shape: Shape4, blocks: Shape4, usual: Shape4 | None, advised: Shape4
) -> None:
    with pytest.raises(Indivisible, match=re.escape(f"array.rechunk({advised}) along t, x, y, z would do")):
        form(layout, shape, blocks, usual=usual)
    assert form(layout, shape, advised).plan.largest * 2 >= min(2**14, math.prod(advised))


@given(layout=st.sampled_from(["flat", "tile", "packed"]), data=st.data())
def test_irregular_blocks_are_divided_or_the_advised_ones_are(layout: str, data: st.DataObject) -> None:
    long = st.integers(1, 300)
    shape = shape4(data.draw(st.tuples(st.integers(1, 20), long, long, long)))
    blocks = shape4(data.draw(st.tuples(*(st.integers(1, n) for n in shape))))
    usual = shape4(data.draw(st.integers(b, n)) if b < n else n for b, n in zip(blocks, shape, strict=True))
    with suppress(Indivisible):
        assert form(layout, shape, blocks, usual=usual).plan.largest * TINY >= min(2**14, math.prod(usual))
        return
    with pytest.raises(Indivisible) as refused:
        form(layout, shape, blocks, usual=usual)
    assert refused.value.advised is not None
    form(layout, shape, refused.value.advised)


def test_slab_must_divide_the_blocks() -> None:
    assert form("flat", (1, 30, 8, 8), (1, 12, 8, 8), slab=(1, 4, 8, 8)).plan.to_json()["chunk"] == [
        1,
        4,
        8,
        8,
    ]
    with pytest.raises(UsageError, match=re.escape("do not divide blocks of (1, 12, 8, 8)")):
        form("flat", (1, 30, 8, 8), (1, 12, 8, 8), slab=(1, 5, 8, 8))


def test_blocks_must_fit_the_grid() -> None:
    with pytest.raises(UsageError, match="do not fit a grid"):
        form("flat", GRID.shape, (1, 17, 8, 8))


@given(st.lists(sizes, min_size=1, max_size=6))
def test_irregular_blocks_have_a_largest_one_that_divides_them(along: list[int]) -> None:
    size = sum(along)
    block, *_ = regular((size, 1, 1, 1), [along, [1], [1], [1]])
    ends = np.cumsum(along)[:-1]
    assert all(end % block == 0 for end in ends)
    assert block == (math.gcd(*ends.tolist()) if len(ends) else size)
