"""Frames in time order, each of them computed while the one before it is being read."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from .propagator import Stopped

Complex = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Current:
    """The frame that is being read, and the future of the next one; None for it at the end."""

    number: int
    frame: Complex
    following: Future[Complex] | None


@dataclass(slots=True, kw_only=True)
class PrefetchedFrames:
    """Frames 0 … last, computed by `begin()` and `advance(frame, into, number)` in a thread of its own.

    `advance` fills `into` with frame `number` + 1, given frame `number`. Two frames are held:
    the one that is being read, and the next one, which is being computed.
    """

    begin: Callable[[], Complex]
    advance: Callable[[Complex, Complex, int], None]
    last: int
    _thread: ThreadPoolExecutor | None = field(init=False, default=None)
    _current: _Current | None = field(init=False, default=None)
    _closed: bool = field(init=False, default=False)

    def frame(self, number: int) -> Complex:
        """Frame `number`, valid until the next call. An earlier frame than before is computed from the beginning.

        Raises what `begin` and `advance` raise, and InvalidInput if it was closed.
        """
        current, self._current = self._current, None  # after an error the computation starts again
        if self._closed:
            raise InvalidInput("the evolution was closed: open the source again")
        if current is None or number < current.number:
            if current is not None and current.following is not None:
                current.following.exception()  # wait: two computations must not run at the same time
            current = self._with_following(0, self.begin(), None)
        while current.number < number and current.following is not None:
            try:
                frame = current.following.result()
            except (Stopped, CancelledError) as error:
                raise InvalidInput("the evolution was closed while a frame was computed") from error
            current = self._with_following(current.number + 1, frame, current.frame)
        self._current = current
        return current.frame

    def check(self) -> None:
        """Raises Stopped after `close`."""
        if self._closed:
            raise Stopped

    def close(self) -> None:
        """Release the frames. A computation that is running ends after its present pass over the frame."""
        self._closed = True
        self._current = None
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _with_following(self, number: int, frame: Complex, spare: Complex | None) -> _Current:
        """The frame, after the computation of the next one has started, into `spare` if there is one."""
        if number == self.last:
            return _Current(number=number, frame=frame, following=None)
        into = np.empty_like(frame) if spare is None else spare

        def compute() -> Complex:
            self.advance(frame, into, number)
            return into

        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "evolve")
        return _Current(number=number, frame=frame, following=self._thread.submit(compute))
