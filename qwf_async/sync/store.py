"""A store for scripts and notebooks: opened, listed, and its wavefunctions by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any, Self
from weakref import finalize

from ..client.address import Address
from ..copying.backup import backup
from ..copying.copying import copy, move
from ..copying.restore import restore
from ..errors import InvalidInput, UsageError
from ..host.loop_thread import LoopThread
from ..ingesting.ingestion import ingest
from ..ingesting.verification import verify
from ..producing.create import create
from ..settings import Settings, load
from ..store import store as asynchronous
from ..store.connecting import connect
from .copying import between_stores
from .face import blocking
from .ingesting import stopped_by_signals
from .viewing import Viewable
from .wavefunction import Wavefunction
from .writing import entering


def open(  # noqa: A001 # as users know it from zarr and h5py: qwf.open
    url: str | None = None, *, settings: Settings | None = None, **flags: Any
) -> Store:
    """Connect to a server: `with qwf.open("redis://localhost:6379") as store`, or without `with` until `close`.

    Without a URL the settings decide (QWF_URL, REDIS_URL), or else the embedded server is used,
    and started if it does not run. `flags` are settings by name, such as `data_dir`, `prefix` or `deadline`; they rank
    above those of file and environment, and above `settings`, which take the place of these.

    It can be used in any thread, and in one whose event loop is running, as in a notebook. A store
    that is not closed is closed when nobody refers to it or its wavefunctions, or when the process ends.

    Raises ServerUnavailable if there is no server, Refused if it does not let us in, and
    UsageError if the URL, a setting or a TLS file cannot be used.
    """
    if settings is None:
        settings = load(url=url, **flags)
    else:
        try:
            settings = replace(settings, **flags | ({} if url is None else {"url": url}))
        except TypeError as error:
            raise UsageError(f"open takes a URL and settings: {error}") from error
    return Store(settings)


class Store(Viewable):
    """Wavefunctions on one server, by name: `store["psi"]`, `"psi" in store`, `for name in store`. Made by `open`.

    It has an event loop and connections of its own, which `close` or the end of a `with` block ends.
    """

    def __init__(self, settings: Settings) -> None:
        loop = LoopThread()

        async def connected() -> asynchronous.Store:
            return await loop.opened.enter_async_context(connect(settings=settings))

        try:
            super().__init__(loop.run(connected), loop)
        except BaseException:
            loop.close()
            raise
        finalize(self, loop.close_soon).atexit = False  # at the end of the process the loop closes itself

    def close(self) -> None:
        """Close the connections. Its wavefunctions then raise UsageError. May be called twice."""
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def settings(self) -> Settings:
        return self._behind.settings

    @property
    def address(self) -> Address:
        """Where the server is, also of a closed store."""
        return self._behind.address

    def __getitem__(self, name: str) -> Wavefunction:
        """The wavefunction published under a name. Raises InvalidInput, which is a KeyError too, if there is none."""
        return Wavefunction(self._loop.run(self._behind.open, name), self)

    def __contains__(self, name: object) -> bool:
        """Whether a wavefunction is published under a name."""
        try:
            self._loop.run(self._behind.open, name)  # type: ignore[arg-type] # what is no text is no name
        except InvalidInput:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self) -> list[str]:
        """The names under which a wavefunction is published, sorted."""
        return [entry.name for entry in self.entries() if entry.manifest is not None]

    ingest = stopped_by_signals(ingest)
    create = entering(create)
    verify = blocking(verify)
    copy = between_stores(copy)
    move = between_stores(move)
    backup = blocking(backup)
    restore = blocking(restore)
    entries = blocking(asynchronous.Store.entries)
    remove = blocking(asynchronous.Store.remove)
    remove_damaged = blocking(asynchronous.Store.remove_damaged)
    clean = blocking(asynchronous.Store.clean)
    orphans = blocking(asynchronous.Store.orphans)
    server_info = blocking(asynchronous.Store.server_info)
    secure = blocking(asynchronous.Store.secure)

    def __repr__(self) -> str:
        return f"<Store at {self.address.shown}>"
