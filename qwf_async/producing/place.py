"""Where a store is, for another process: what can be pickled of the settings that lead there, without a password."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypeVar

from ..client.address import without_password
from ..settings import Settings
from ..settings import load as load_settings
from ..store.connecting import connect
from ..store.store import Store
from .background import background, lend_password

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A server by its URL, or the embedded one by the directory of its data; and the prefix of the keys there."""

    url: str | None
    data_dir: Path | None
    prefix: str

    @classmethod
    def of(cls, store: Store) -> Self:
        """Where a store is. This process will know its password without being told again."""
        embedded, settings = store.embedded, store.settings
        url = None if embedded else without_password(settings.url or "")
        lend_password(url, store.address.options.get("password"))
        return cls(url=url, data_dir=embedded.data_dir if embedded else None, prefix=settings.prefix)

    async def open(self) -> Store:
        """The store, on the loop of this process (`background`), whose connections it shares."""
        return await background().store(self.url, self.data_dir, self.prefix)


def on_store(job: Callable[[Store], Awaitable[T]], url: str | None, settings: Settings | None) -> T:
    """The result of a job on a store, which `connect` opens, and which is closed again. For code that is not async."""
    given = load_settings() if settings is None else settings

    async def run() -> T:
        async with connect(settings=given if url is None else replace(given, url=url)) as store:
            return await job(store)

    return background().run(run)
