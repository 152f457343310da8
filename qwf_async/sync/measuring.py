"""What is computed of a stored wavefunction: observables, densities, spectra."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from ..dask.data_array import to_xarray
from ..store import store as asynchronous
from ..store.observing import marginals, observe
from ..store.passing import passing
from ..store.spectra import momentum_density, spectrum
from ..store.wavefunction import Wavefunction
from .face import LoopFace, signed
from .viewing import Viewable

P = ParamSpec("P")
R = TypeVar("R")


class OfStore(LoopFace[Wavefunction]):
    """A wavefunction, and the store that it belongs to."""

    def __init__(self, behind: Wavefunction, store: Viewable) -> None:
        super().__init__(behind, store._loop)
        self._store = store  # which is closed when nobody refers to it


def measuring(
    call: Callable[Concatenate[asynchronous.Store, Wavefunction, P], Awaitable[R]],
) -> Callable[Concatenate[OfStore, P], R]:
    """A method that waits for what a function tells of a wavefunction of a store."""

    @wraps(call)
    def method(self: OfStore, /, *args: P.args, **kwargs: P.kwargs) -> R:
        async def measured() -> R:
            return await call(self._store._behind, self._behind, *args, **kwargs)

        return self._loop.run(measured)

    return signed(method, call, known={0, 1})


def listing(
    call: Callable[Concatenate[asynchronous.Store, Wavefunction, P], AsyncIterator[R]],
) -> Callable[Concatenate[OfStore, P], list[R]]:
    """A method that waits for all that a function tells of a wavefunction of a store."""

    @wraps(call)
    def method(self: OfStore, /, *args: P.args, **kwargs: P.kwargs) -> list[R]:
        async def listed() -> list[R]:
            return [row async for row in call(self._store._behind, self._behind, *args, **kwargs)]

        return self._loop.run(listed)

    return signed(method, call, known={0, 1})


class Measured(OfStore):
    """What is told of a stored wavefunction, of frames by number, in atomic units. Each list has an item a frame."""

    observe = listing(observe)
    passing = listing(passing)
    marginals = measuring(marginals)
    momentum_density = measuring(momentum_density)
    spectrum = measuring(spectrum)
    to_xarray = measuring(to_xarray)
