"""What stored numbers mean, beside xarray's own decoding as the plain twin, and where it differs by intent."""

from __future__ import annotations

import struct
import warnings
from base64 import b64encode
from typing import Any

import h5py
import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from netCDF4 import default_fillvals
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.source.formats.packing import DEFAULT_FILLS, Packing, packing_of

INTEGERS = [f"{order}{kind}{size}" for order in "<>" for kind in "iu" for size in (1, 2, 4, 8)]
REALS = [f"{order}f{size}" for order in "<>" for size in (4, 8)]
COMPLEX = ["<c8", ">c8", "<c16"]


def decoded(stored: NDArray[Any], attributes: dict[str, Any]) -> NDArray[Any]:
    """The plain twin: xarray's decoding of a variable of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is more than one fill value
        variable = xarray.Variable(["x"], stored.copy(), dict(attributes))
        values: NDArray[Any] = xarray.conventions.decode_cf_variable(
            "psi", variable, decode_times=False
        ).values
    return values


def unpacked(stored: Any, attributes: dict[str, Any], **how: Any) -> tuple[NDArray[Any], Packing | None]:
    values = np.asarray(stored)
    values.flags.writeable = False
    packing = packing_of(values.dtype, attributes, what="psi", **how)
    return values if packing is None else packing.unpack(values), packing


def meant(stored: Any, attributes: dict[str, Any], **how: Any) -> list[Any]:
    result: list[Any] = unpacked(stored, attributes, **how)[0].tolist()
    return result


@st.composite
def packed(draw: st.DrawFn) -> tuple[NDArray[Any], dict[str, Any]]:
    """Numbers of few values, so that many mean missing, with any attributes that CF knows, as CF wants them."""
    dtype = np.dtype(draw(st.sampled_from(INTEGERS + REALS + COMPLEX)))
    few = st.sampled_from([0, 1, 2, 100, 127] if dtype.kind == "u" else [-127, -1, 0, 1, 2, 100])
    number = st.builds(complex, few, few) if dtype.kind == "c" else few
    stored = np.array(draw(st.lists(number, min_size=1, max_size=12)), dtype)
    attributes: dict[str, Any] = {}
    kind: Any = dtype.newbyteorder("=").type
    if draw(st.booleans()):
        attributes["_FillValue"] = kind(draw(number))
    # xarray views a big-endian fill value as if it were a native one, and compares large numbers rounded.
    if dtype.kind in "iu" and dtype.isnative and dtype.itemsize < 4 and draw(st.booleans()):
        attributes["_Unsigned"] = draw(st.sampled_from(["true", "false"]))
    elif draw(st.booleans()):  # xarray leaves it in the type of the file beside _Unsigned
        several = draw(st.lists(number, min_size=1, max_size=3))
        attributes["missing_value"] = kind(several[0]) if len(several) == 1 else np.array(several, dtype)
    if dtype.kind != "c":  # xarray drops the imaginary part
        factor = st.sampled_from([0.1, -3.0, 1e-5]).flatmap(
            lambda value: st.sampled_from([value, np.float32(value), np.float64(value)])
        )
        for name in ("scale_factor", "add_offset"):
            if draw(st.booleans()):
                attributes[name] = draw(factor)
    return stored, attributes


@settings(max_examples=600, deadline=None)
@given(case=packed())
def test_the_numbers_are_those_of_xarray(case: tuple[NDArray[Any], dict[str, Any]]) -> None:
    stored, attributes = case
    wanted = decoded(stored, attributes)
    got, packing = unpacked(stored, attributes)
    np.testing.assert_array_equal(got, wanted)
    assert (stored.dtype.newbyteorder("=") if packing is None else packing.dtype) == wanted.dtype
    if packing is not None and (packing.scale is not None or packing.offset is not None):
        assert got.dtype == wanted.dtype


@pytest.mark.parametrize("dtype", REALS + COMPLEX + INTEGERS)
def test_what_needs_no_change_is_not_copied(dtype: str) -> None:
    stored = np.arange(5).astype(dtype)
    assert packing_of(stored.dtype, {"units": "bohr", "valid_max": 3}, what="psi") is None
    assert packing_of(stored.dtype, {"_FillValue": np.float32(np.nan)}, what="psi") is None
    got, packing = unpacked(stored, {"_FillValue": 77})
    assert packing is not None
    assert got is stored
    assert np.isnan(unpacked(stored, {"_FillValue": 3})[0]).tolist() == [False, False, False, True, False]
    assert stored[3] == 3


@pytest.mark.parametrize(
    ("dtype", "attributes", "stored", "wanted"),
    [
        ("f4", {"_FillValue": np.float64(-9999.9)}, [-9999.9, 1], [np.nan, 1]),
        ("f4", {"missing_value": 1e20}, [1e20, 1], [np.nan, 1]),
        ("f4", {"missing_value": 1e300}, [np.inf, 1], [np.inf, 1]),
        ("f8", {"missing_value": np.inf}, [np.inf, -np.inf], [np.nan, -np.inf]),
        ("i2", {"_FillValue": np.float64(-9999.0)}, [-9999, 1], [np.nan, 1]),
        ("i2", {"_FillValue": -9999.5}, [-9999, 1], [-9999, 1]),
        ("i2", {"_FillValue": np.nan}, [0, 1], [0, 1]),
        ("i2", {"_FillValue": 1e20}, [-1, 1], [-1, 1]),
        ("u1", {"_FillValue": -1}, [255, 1], [255, 1]),
        ("i8", {"_FillValue": -(2**63) + 2}, [-(2**63) + 3, -(2**63) + 2], [-(2.0**63), np.nan]),
        ("i4", {"_FillValue": 2**31 - 1, "scale_factor": np.float32(2)}, [2**31 - 1, 1], [np.nan, 2]),
        ("i2", {"scale_factor": 2, "_FillValue": 5}, [5, 3], [np.nan, 6]),
        ("f4", {"missing_value": [1.0, 3.0, np.nan]}, [1, 2, 3], [np.nan, 2, np.nan]),
        ("i1", {"_Unsigned": "true", "_FillValue": -1}, [-1, -2, 1], [np.nan, 254, 1]),
        ("i1", {"_Unsigned": "true", "_FillValue": 255}, [-1, -2, 1], [np.nan, 254, 1]),
        ("i1", {"_Unsigned": b"True", "missing_value": [255, -2]}, [-1, -2, 1], [np.nan, np.nan, 1]),
        ("i2", {"_Unsigned": np.array(["true"], object), "scale_factor": 0.5}, [-2, 1], [32767, 0.5]),
        ("u1", {"_Unsigned": "false", "_FillValue": 255}, [255, 254, 1], [np.nan, -2, 1]),
        ("u1", {"_Unsigned": "false", "_FillValue": -1}, [255, 254, 1], [np.nan, -2, 1]),
        ("u1", {"_Unsigned": "true"}, [255, 1], [255, 1]),
        ("f8", {"_Unsigned": "true"}, [-1, 1], [-1, 1]),
        ("c16", {"_FillValue": 1e20}, [1e20, 1e20j], [complex(np.nan, np.nan), 1e20j]),
        ("c8", {"scale_factor": np.float32(2), "add_offset": np.float32(1)}, [1 + 2j], [3 + 4j]),
        ("f8", {"_FillValue": 0.0}, [0.0, -0.0, 1], [np.nan, np.nan, 1]),
    ],
)
def test_stored_numbers_are_compared_in_their_own_type(
    dtype: str, attributes: dict[str, Any], stored: list[Any], wanted: list[Any]
) -> None:
    for order in "<>":
        given_stored = np.array(stored, f"{order}{dtype}")
        np.testing.assert_array_equal(meant(given_stored, attributes), wanted)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("f8", "1e20"),
        ("f4", b"1e20"),
        ("f8", np.array([b"1e20"])),
        ("f8", np.array([1e20])),
        ("f4", b64encode(struct.pack("<d", 1e20)).decode()),
        ("c16", [b64encode(struct.pack("<d", part)).decode() for part in (1e20, 0)]),
        ("c16", np.array((1e20, 0), [("re", "f8"), ("im", "f8")])[()]),
        ("c16", np.array([(1e20, 0)], [("re", "f8"), ("im", "f8")])),
    ],
)
def test_fill_values_are_read_as_any_library_writes_them(dtype: str, value: Any) -> None:
    packing = packing_of(np.dtype(dtype), {"_FillValue": value}, what="psi")
    assert packing is not None
    assert packing.missing == (np.dtype(dtype).type(1e20),)


@pytest.mark.parametrize("value", ["none", b"n/a", "", "\0", "NaN", h5py.Empty("f8"), ["none", b"nan"]])
def test_a_word_for_none_is_no_number(value: Any) -> None:
    for name in ("_FillValue", "missing_value"):
        assert packing_of(np.dtype("i2"), {name: value}, what="psi") is None


def test_infinity_may_be_a_word() -> None:
    assert meant([1.0, np.inf], {"_FillValue": "Infinity"})[0] == 1
    assert np.isnan(meant([1.0, np.inf], {"_FillValue": "Infinity"})[1])


@pytest.mark.parametrize("name", ["scale_factor", "add_offset"])
def test_a_factor_may_be_an_array_of_one_in_any_byte_order(name: str) -> None:
    for value in (np.array([0.5], ">f4"), np.float32(0.5), np.array(0.5, ">f4")):
        assert unpacked(np.array([3], np.int16), {name: value})[0] == decoded(
            np.array([3], np.int16), {name: np.float32(0.5)}
        )
    assert meant(np.array([4], np.int16), {name: b"0.5"}) == ([2.0] if name == "scale_factor" else [4.5])


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"scale_factor": [1.0, 2.0]}, "scale_factor is [1.0, 2.0]; it must be one real number"),
        ({"scale_factor": "much"}, "scale_factor is"),
        ({"add_offset": 1j}, "add_offset is 1j; it must be one real number"),
        ({"missing_value": "-9999.f"}, "missing_value is '-9999.f'; it must be a number"),
        ({"_FillValue": None, "missing_value": [1.0, "7x" * 999]}, "it must be a number"),
    ],
)
def test_an_attribute_that_says_no_number_is_refused(attributes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        packing_of(np.dtype("i2"), attributes, what="a.nc:psi")
    assert says in str(refused.value)
    assert str(refused.value).startswith("a.nc:psi: its attribute ")
    assert len(str(refused.value)) < 120


def test_what_netcdf_never_wrote_is_missing_unless_another_value_is_declared() -> None:
    for name, fill in default_fillvals.items():
        if name[0] not in "iuf":
            continue
        stored = np.array([1, fill], name)
        never = name not in ("i1", "u1")
        assert np.isnan(meant(stored, {}, netcdf=True)[1]) == never
        assert np.isnan(meant(stored.astype(f">{name}"), {}, netcdf=True)[1]) == never
        assert np.isnan(meant(stored, {"missing_value": 5}, netcdf=True)[1]) == never
        assert meant(stored, {}) == stored.tolist()
        assert not np.isnan(meant(stored, {"_FillValue": 5}, netcdf=True)).any()
        assert (name in DEFAULT_FILLS) == never


def test_a_default_amid_the_unsigned_numbers_is_a_number() -> None:
    assert meant(np.array([-32767, 1], np.int16), {"_Unsigned": "true"}, netcdf=True) == [32769, 1]


def test_values_are_told_in_words() -> None:
    _, packing = unpacked(
        np.array([1], np.int8), {"_Unsigned": "true", "scale_factor": 0.5, "add_offset": -1.0}
    )
    assert str(packing) == "uint8 × 0.5 + -1.0"
