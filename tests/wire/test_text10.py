"""The text form of values, held equal to Python's own formatting and to `float`, byte for byte."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qwf_async.wire.string_form import IN_RESP
from qwf_async.wire.text10 import BORDER, Texts, decode, encode, records


def plain(values: NDArray[np.complex128]) -> list[bytes]:
    return [f"{value.real:.10f},{value.imag:.10f}".encode() for value in values.tolist()]


def complexes(numbers: list[float]) -> NDArray[np.complex128]:
    """Values whose parts are the numbers, each of them in both places."""
    values = np.empty(len(numbers), np.complex128)
    values.real = numbers
    values.imag = numbers[::-1]
    return values


def texts_of(texts: list[bytes]) -> Texts:
    return Texts(
        data=np.frombuffer(b"".join(texts), np.uint8), lengths=np.array([len(t) for t in texts], np.int64)
    )


def bits(numbers: NDArray[np.complex128]) -> list[str]:
    """The numbers in a form in which nan equals nan and 0.0 does not equal -0.0."""
    return [float(number).hex() for number in numbers.view(np.float64)]


def stepped(number: float, steps: int) -> float:
    for _ in range(abs(steps)):
        number = math.nextafter(number, math.copysign(math.inf, steps))
    return number


signs = st.sampled_from([1.0, -1.0])
near_ties = st.builds(
    lambda k, steps, sign: sign * stepped((2 * k + 1) * 0.5e-10, steps),
    st.one_of(st.integers(0, 10**4), st.integers(0, 10**11), st.integers(0, 9 * 10**15)),
    st.integers(-2, 2),
    signs,
)
exact_ties = st.builds(lambda k, sign: sign * k / 2**11, st.integers(0, 2**31), signs)
near_border = st.builds(
    lambda power, steps, sign: sign * stepped(power, steps),
    st.sampled_from([BORDER, 2**53 / 1e10, 2**52 / 1e10, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6]),
    st.integers(-3, 3),
    signs,
)
near_carry = st.builds(
    lambda power, units, sign: sign * (power - units * 0.25e-10),
    st.sampled_from([1.0, 10.0, 100.0, 1e3, 1e4, 1e5]),
    st.integers(0, 8),
    signs,
)
special = st.sampled_from(
    [
        0.0,
        -0.0,
        5e-324,
        -5e-324,
        2.2e-308,
        -1e-12,
        5e-11,
        -5e-11,
        1e300,
        -1e300,
        math.nan,
        math.inf,
        -math.inf,
    ]
)
numbers = st.one_of(
    st.floats(),
    st.floats(-10, 10),
    st.floats(-1e6, 1e6),
    st.floats(width=32),
    st.floats(-10, 10, width=32),
    near_ties,
    exact_ties,
    near_border,
    near_carry,
    special,
)
arrays = st.lists(numbers, max_size=40).map(complexes)


@given(arrays)
def test_texts_are_those_of_python(values: NDArray[np.complex128]) -> None:
    texts = encode(values)
    assert texts.data.tobytes() == b"".join(plain(values))
    assert texts.lengths.tolist() == [len(text) for text in plain(values)]


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 30.0, 1e5])
@pytest.mark.parametrize("kind", ["any", "float32", "exact ties", "near ties"])
def test_a_chunk_of_texts_is_that_of_python_and_is_read_back(kind: str, scale: float) -> None:
    random = np.random.default_rng(10)
    numbers = random.normal(scale=scale, size=40_000)
    if kind == "float32":
        numbers = numbers.astype(np.float32).astype(np.float64)
    elif kind == "exact ties":
        numbers = np.rint(numbers * 2**11) / 2**11
    elif kind == "near ties":
        numbers = (np.floor(numbers * 1e10) + 0.5) / 1e10
    values = numbers.view(np.complex128)
    texts = encode(values)
    assert texts.data.tobytes() == b"".join(plain(values))
    assert bits(decode(texts)) == [float(n).hex() for text in plain(values) for n in text.split(b",")]


def test_an_array_of_any_shape_and_order_is_encoded_in_c_order() -> None:
    values = np.asfortranarray(np.arange(24).reshape(2, 3, 4) * (1 - 2j))
    assert encode(values).data.tobytes() == b"".join(plain(values.reshape(-1)))


@given(arrays)
@example(complexes([]))
def test_what_is_encoded_is_decoded_as_float_would(values: NDArray[np.complex128]) -> None:
    assert bits(decode(encode(values))) == [
        float(n).hex() for text in plain(values) for n in text.split(b",")
    ]


decimals = st.from_regex(rb"[+-]?[0-9]{1,9}\.[0-9]{10}", fullmatch=True)
written = st.one_of(
    decimals,
    st.from_regex(rb"[+-]?[0-9]{0,25}\.[0-9]{1,30}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.floats().map(lambda number: repr(number).encode()),
    st.sampled_from([b"7", b"-0", b"nan", b"-inf", b"Infinity", b"1e-400", b"00000000.5000000000"]),
    st.sampled_from(
        [b"900719.9254740991", b"900719.9254740992", b"900719.9254740993", b"9999999.9999999999"]
    ),
)


@given(st.lists(st.tuples(written, written), min_size=1, max_size=20))
def test_a_number_written_in_any_way_is_read_as_float_reads_it(pairs: list[tuple[bytes, bytes]]) -> None:
    read = decode(texts_of([re + b"," + im for re, im in pairs]))
    assert bits(read) == [float(number).hex() for pair in pairs for number in pair]


GOOD = b"-0.1234567890,12.0000000001"


def check_against_float(texts: list[bytes]) -> None:
    expected: list[str] = []
    for index, text in enumerate(texts):
        try:
            re, im = text.split(b",")
            expected += [float(re).hex(), float(im).hex()]
        except ValueError:
            with pytest.raises(ValueError, match=f"^text {index} is not"):
                decode(texts_of(texts))
            return
    assert bits(decode(texts_of(texts))) == expected


@pytest.mark.parametrize("place", range(len(GOOD)))
def test_a_changed_byte_is_read_as_float_reads_it_or_refused(place: int) -> None:
    for byte in range(256):
        check_against_float([GOOD, GOOD[:place] + bytes([byte]) + GOOD[place + 1 :], GOOD])


@given(st.data())
def test_texts_cut_at_wrong_places_are_read_as_float_reads_them_or_refused(data: st.DataObject) -> None:
    joined = b"".join(data.draw(st.lists(st.sampled_from([GOOD, b"1,2", b"0.5,0.0000000000"]), min_size=1)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(joined)), max_size=4)))
    check_against_float([joined[a:b] for a, b in pairwise([0, *cuts, len(joined)])])


def test_a_short_number_is_not_taken_together_with_the_text_before_it() -> None:
    check_against_float([b"1,0.123456789", b"5,1.0000000000"])


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b",",
        b"1.0000000000",
        b"1.0000000000,",
        b",1.0000000000",
        b"1,2,3",
        b"a,b",
        b"1.0000000000 2",
        b"-,-",
    ],
)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_malformed_text_is_named_by_its_index(text: bytes, index: int) -> None:
    texts = [GOOD, GOOD]
    texts.insert(index, text)
    with pytest.raises(ValueError, match=f"^text {index} is not `re,im`"):
        decode(texts_of(texts))


@pytest.mark.parametrize(
    "texts", [[b"1,2", b"1.5", b"1,2,3"], [b"1,2,3", b"1,2", b"4"], [b"1", b"0.1234567890,5.0000000000,6"]]
)
def test_commas_too_few_in_one_text_and_too_many_in_another_are_noticed(texts: list[bytes]) -> None:
    check_against_float(texts)


def test_the_first_of_several_malformed_texts_is_named() -> None:
    check_against_float([GOOD, b"1.0000000000,x", GOOD, b"malformed", b"too,"])


def test_lengths_that_do_not_fit_the_data_are_refused() -> None:
    with pytest.raises(ValueError, match="lengths"):
        Texts(data=np.zeros(7, np.uint8), lengths=np.array([3, 3]))
    with pytest.raises(ValueError, match="lengths"):
        Texts(data=np.zeros(7, np.uint8), lengths=np.array([-1, 8]))


def plain_records(fields: NDArray[np.uint8], texts: list[bytes]) -> list[bytes]:
    return [
        bytes(field) + b"$%d\r\n%s\r\n" % (len(text), text) for field, text in zip(fields, texts, strict=True)
    ]


@given(arrays, st.integers(1, 40), st.randoms(use_true_random=False))
def test_records_are_fields_and_texts_in_order(
    values: NDArray[np.complex128], width: int, random: Random
) -> None:
    names = [random.randint(0, 255) for _ in range(len(values) * width)]
    fields = np.array(names, np.uint8).reshape(len(values), width)
    expected = plain_records(fields, plain(values))
    data, ends = records(fields, encode(values), IN_RESP)
    assert data.tobytes() == b"".join(expected)
    assert ends.tolist() == np.cumsum([len(record) for record in expected], dtype=np.int64).tolist()


@given(arrays, st.data())
def test_records_of_chosen_texts_are_in_the_order_of_choice(
    values: NDArray[np.complex128], data: st.DataObject
) -> None:
    places = st.integers(0, len(values) - 1) if len(values) else st.nothing()
    chosen = np.array(data.draw(st.lists(places, unique=True)), np.int64)
    fields = np.arange(len(chosen) * 6, dtype=np.uint8).reshape(-1, 6)
    made, ends = records(fields, encode(values), IN_RESP, chosen)
    assert made.tobytes() == b"".join(plain_records(fields, plain(values[chosen])))
    assert ends.tolist()[-1:] == [made.size][: len(chosen)]


def test_a_record_is_a_field_and_a_value_of_the_protocol() -> None:
    fields = np.frombuffer(b"$11\r\nx1_y2_z3_t0\r\n", np.uint8).reshape(1, -1)
    data, ends = records(fields, encode(np.array([-0.123456789 + 0.5j])), IN_RESP)
    assert data.tobytes() == b"$11\r\nx1_y2_z3_t0\r\n$26\r\n-0.1234567890,0.5000000000\r\n"
    assert ends.tolist() == [data.size]


def test_fields_of_another_number_than_the_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="1 fields for 2 texts"):
        records(np.zeros((1, 5), np.uint8), encode(np.zeros(2, np.complex128)), IN_RESP)
