"""Frames in time order, each computed while the one before it is being read."""

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
class Shown:
    """The frame that is being read, and the next one under way; None at the end."""

    number: int
    frame: Complex
    ahead: Future[Complex] | None


@dataclass(slots=True, kw_only=True)
class Film:
    """Frames 0 … last, computed by `begin()` and `advance(frame, into, number)` in a thread of its own.

    `advance` fills `into` with frame `number` + 1, given frame `number`. Two frames are held:
    the current one, and the next, which is under way.
    """

    begin: Callable[[], Complex]
    advance: Callable[[Complex, Complex, int], None]
    last: int
    _thread: ThreadPoolExecutor | None = field(init=False, default=None)
    _shown: Shown | None = field(init=False, default=None)
    _closed: bool = field(init=False, default=False)

    def frame(self, number: int) -> Complex:
        """Frame `number`, good until the next call. An earlier one than before is computed from the beginning.

        Raises what `begin` and `advance` raise, and InvalidInput if the film was closed.
        """
        shown, self._shown = self._shown, None  # after an error it begins anew
        if self._closed:
            raise InvalidInput("the evolution was closed: open the source again")
        if shown is None or number < shown.number:
            if shown is not None and shown.ahead is not None:
                shown.ahead.exception()  # it must not go on beside its successor
            shown = self._with_next(0, self.begin(), None)
        while shown.number < number and shown.ahead is not None:
            try:
                frame = shown.ahead.result()
            except (Stopped, CancelledError) as error:
                raise InvalidInput("the evolution was closed while a frame was computed") from error
            shown = self._with_next(shown.number + 1, frame, shown.frame)
        self._shown = shown
        return shown.frame

    def check(self) -> None:
        """Raises Stopped once the film was closed."""
        if self._closed:
            raise Stopped

    def close(self) -> None:
        """Give the frames back; what is under way ends after its present pass over the frame."""
        self._closed = True
        self._shown = None
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _with_next(self, number: int, frame: Complex, spare: Complex | None) -> Shown:
        """The frame, with the next one begun, in `spare` if there is one."""
        if number == self.last:
            return Shown(number=number, frame=frame, ahead=None)
        into = np.empty_like(frame) if spare is None else spare

        def compute() -> Complex:
            self.advance(frame, into, number)
            return into

        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "evolve")
        return Shown(number=number, frame=frame, ahead=self._thread.submit(compute))
