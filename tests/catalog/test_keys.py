"""The names of the keys: what `Keys` makes, the parser reads back, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwf_async.catalog.keys import KeyOwner, Keys, key_parser
from qwf_async.layout import LAYOUTS, Form

NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True)
GENERATIONS = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
ENDINGS = [layout.key_ending for layout in LAYOUTS.values()]


@given(prefix=NAMES, name=NAMES, generation=GENERATIONS, layout=st.sampled_from(sorted(LAYOUTS)))
def test_a_key_is_known_by_its_prefix_its_name_and_its_generation(
    prefix: str, name: str, generation: str, layout: str
) -> None:
    keys = Keys(prefix=prefix, name=name)
    owner_of = key_parser(prefix, ENDINGS)
    for key in (keys.meta, keys.load, keys.trash, keys.scratch):
        assert owner_of(key.encode()) == KeyOwner(name, None)
    form = Form.of(layout=layout, codec="c16", shape=(2, 90, 90, 90))
    stored = form.open(keys.base(generation))
    assert form.groups > 1
    for group in range(form.groups):
        tag = f"{prefix}:{name}:{{{generation}.{group}}}:".encode()
        for name_of_one in (keys.journal(generation, group).encode(), *stored.keys(group)):
            assert owner_of(name_of_one) == KeyOwner(name, generation)
            assert name_of_one.startswith(tag)
    assert owner_of(keys.names.encode()) is None


@given(key=st.binary(max_size=60))
def test_any_other_key_belongs_to_nobody(key: bytes) -> None:
    assert key_parser("qwf", ENDINGS)(key) is None


def test_a_prefix_is_taken_to_the_letter() -> None:
    owner_of = key_parser("a.b", ENDINGS)
    assert owner_of(b"a.b:{psi}:meta") == KeyOwner("psi", None)
    assert owner_of(b"axb:{psi}:meta") is None
