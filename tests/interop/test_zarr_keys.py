"""The keys of the Zarr hierarchy, held against a plain twin made from its metadata."""

from __future__ import annotations

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.zarr_store.hierarchy import Hierarchy, ZarrArray

shapes = st.lists(st.integers(1, 25), min_size=4, max_size=4)


@st.composite
def hierarchies(draw: st.DrawFn) -> Hierarchy:
    def array(shape: list[int], chunk: list[int]) -> ZarrArray:
        pairs = zip(shape, chunk, strict=True)
        return ZarrArray(
            shape=tuple(shape),
            chunk=tuple(min(n, c + 2) for n, c in pairs),
            dtype=np.dtype("<c16"),
            dimensions=tuple("txyz"[: len(shape)]),
        )

    shape, chunk = draw(shapes), draw(shapes)
    arrays = {"x": array(shape[1:2], chunk[1:2]), "psi": array(shape, chunk)}
    return Hierarchy(arrays=arrays, attributes={})


def twin_keys(hierarchy: Hierarchy) -> set[str]:
    """Every key, from what the Zarr specification says of the metadata."""
    keys = {"zarr.json"}
    for name in hierarchy.arrays:
        keys.add(f"{name}/zarr.json")
        document = json.loads(hierarchy.document(f"{name}/zarr.json") or b"")
        chunk = document["chunk_grid"]["configuration"]["chunk_shape"]
        counts = [math.ceil(n / c) for n, c in zip(document["shape"], chunk, strict=True)]
        keys |= {f"{name}/c/" + "/".join(map(str, place)) for place in np.ndindex(*counts)}
    return keys


@given(hierarchies(), st.data())
def test_listing_is_that_of_all_keys(hierarchy: Hierarchy, data: st.DataObject) -> None:
    keys = twin_keys(hierarchy)
    listed = list(hierarchy.keys(""))
    assert len(listed) == len(keys)
    assert set(listed) == keys
    key = data.draw(st.sampled_from(sorted(keys)))
    prefix = key[: data.draw(st.integers(0, len(key)))]
    assert set(hierarchy.keys(prefix)) == {key for key in keys if key.startswith(prefix)}
    folder = "/".join(key.split("/")[: data.draw(st.integers(0, 6))])
    inside = {key for key in keys if key.startswith(f"{folder}/" if folder else "")}
    children = {key[len(folder) :].lstrip("/").split("/")[0] for key in inside}
    assert sorted(hierarchy.children(folder)) == sorted(hierarchy.children(folder + "/")) == sorted(children)


@given(hierarchies())
def test_there_is_nothing_under_other_keys(hierarchy: Hierarchy) -> None:
    keys = twin_keys(hierarchy)
    assert all(hierarchy.document(key) or hierarchy.chunk(key) for key in keys)
    last = "/".join(str(n - 1) for n in hierarchy.arrays["psi"].counts)
    past = "/".join(str(n) for n in hierarchy.arrays["psi"].counts)
    for key in (
        "", "/", "psi", "psi/", "psi/c", f"psi/c/{past}", f"psi/c/{last}/", f"psi/c/{last}/0", f"psi/{last}",
        f"psi/c/0{last}", f"psi/c/-{last}", f"psi/c/{'9' * 5000}/0/0/0", "psi/c/٠/0/0/0", "x/c/", "phi/c/0",
        "zarr.json/", "c/0", "psi/.zarray", "psi/zarr.json/c",
    ):  # fmt: skip
        assert hierarchy.document(key) is None
        assert hierarchy.chunk(key) is None
