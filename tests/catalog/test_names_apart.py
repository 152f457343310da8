"""Names are kept apart: no key, file or removal of one name touches another name."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import qwf_async
from qwf_async import sources
from qwf_async.catalog.keys import Keys
from qwf_async.errors import InvalidInput, UsageError
from qwf_async.source import default_name
from qwf_async.spool import spool_path
from tests.conftest import Server
from tests.support.loads import wave

PSI = wave(1, 4, 4, 4)


GENERATION = "0123456789abcdef"


name_like = st.one_of(
    st.text(st.sampled_from("aA0._-:{}*?[]\\/ \n\0é"), max_size=6),
    st.sampled_from(["names", "meta", "..", "-", GENERATION]),
)


@given(prefixes=st.tuples(name_like, name_like), names=st.tuples(name_like, name_like))
def test_keys_of_two_names_never_meet(prefixes: tuple[str, str], names: tuple[str, str]) -> None:
    owned: list[tuple[tuple[str, str], set[bytes]]] = []
    for prefix, name in zip(prefixes, names, strict=True):
        allowed = all(re.fullmatch(r"[A-Za-z0-9._-]{1,128}", text) for text in (prefix, name))
        if not allowed:
            with pytest.raises(InvalidInput):
                Keys(prefix=prefix, name=name)
            continue
        keys = Keys(prefix=prefix, name=name)
        control = {keys.meta, keys.load, keys.trash, keys.scratch, keys.journal(GENERATION, 0)}
        data = {keys.base(GENERATION) + ending for ending in (b"0}:s", b"0}:b1", b"0}:t", b":probe0}:b0")}
        mine = data | {key.encode() for key in control}
        assert len(mine) == 9
        assert keys.names.encode() not in mine
        assert all(key.startswith(prefix.encode() + b":") for key in mine)
        assert all(key.split(b":")[1].strip(b"{}") == name.encode() for key in mine)
        owned.append(((prefix, name), mine | {keys.names.encode()}))
    if len(owned) == 2 and owned[0][0] != owned[1][0]:
        (_, one), (_, other) = owned
        shared = {f"{prefixes[0]}:names".encode()} if prefixes[0] == prefixes[1] else set()
        assert one & other == shared


@given(name_like)
def test_no_name_of_a_source_or_a_generation_leaves_its_directory(text: str) -> None:
    assert "/" not in default_name(text)
    with suppress(InvalidInput):
        assert spool_path(Path("/spools"), text).parent == Path("/spools")
        assert re.fullmatch("[0-9a-f]{16}", text)


@pytest.mark.anyio
async def test_removing_and_cleaning_a_name_touches_no_other(each_server: Server) -> None:
    names = ["a", "a.b", "A", "a-", "aa", "-a", "names", "..", "a.b.c", "meta"]
    async with qwf_async.connect(each_server.url) as store:
        for name in names:
            await qwf_async.ingest(sources.array(PSI), store, name)
    mine = qwf_async.Settings(url=each_server.url, prefix="q")
    async with qwf_async.connect(settings=mine) as store:
        await qwf_async.ingest(sources.array(PSI), store, "a")
    before = each_server.contents()
    async with qwf_async.connect(each_server.url) as store:
        await store.remove("a")
        await store.clean()
    after = each_server.contents()
    gone = before.keys() - after.keys()
    assert {key.split(b":")[1] for key in gone} == {b"a", b"{a}"}
    assert {key for key in gone if not key.startswith(b"qwf:")} == set()
    assert {key: value for key, value in after.items() if key != b"qwf:names"} == {
        key: value for key, value in before.items() if key not in gone | {b"qwf:names"}
    }
    assert before[b"qwf:names"].keys() - after[b"qwf:names"].keys() == {b"a"}


@pytest.mark.parametrize("name", ["*", "a*", "?", "[a]", "{a}", "a:b", "a b", "../x", "a/b", "", "é", "a\n"])
def test_names_and_prefixes_with_other_characters_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        Keys(prefix="qwf", name=name)
    with pytest.raises(UsageError):
        qwf_async.Settings(prefix=name)
