"""The order in which the chunks of a load are read: from node to node, and not those that would have to wait.

Which node a chunk goes to is known before it is read. So the chunks of a node that is away, full
or quiet are put off, as numbers, and those of the other nodes go on. Pure: nothing here waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

BLOCK: Final = 32
"""Chunks a lane that are taken from the source's order at a time. Few, so that the source is read nearly in order;
enough, because the slots of consecutive numbers clump."""


class LaneStates(Protocol):
    """What is known of the lanes at this moment. It is asked in the producers' threads, and answers at once."""

    @property
    def owners(self) -> object:
        """Another object whenever chunks may have got another lane."""
        ...

    @property
    def put_off(self) -> Mapping[int, bool]:
        """The lanes to which nothing should be sent now, and whether they take chunks all the same, into the spool.

        It is another mapping whenever that has changed.
        """
        ...

    def lanes_of(self, numbers: NDArray[np.int64]) -> NDArray[np.intp]:
        """The lanes that have these chunks now."""
        ...


class Schedule(Iterator[int | None]):
    """Deals the numbers of chunks, each once; None if there are some left, and none that should be read now.

    - Lanes take turns. The numbers of one lane grow. A chunk belongs to the lane that `lanes_of`
      says when it is dealt.
    - A lane that is put off gets nothing while another has chunks. If only lanes are left that
      are put off, the chunks of those that spool are dealt.
    - A lane that `is_full` has enough to do, and gets nothing either.
    - The others stay together: at most 2 · BLOCK numbers a lane are looked at ahead. A lane
      that was put off is behind, and does not hold them up while it has more than BLOCK.

    `numbers` must grow. Not for several threads at once.
    """

    def __init__(self, numbers: NDArray[np.int64], lanes: LaneStates, is_full: Callable[[int], bool]) -> None:
        self._numbers = numbers
        self._is_full = is_full
        self._lanes = lanes
        self._left = len(numbers)
        self._taken = 0  # of `numbers`, into the queues of lanes
        self._queues: dict[int, _Queue] = {}
        self._turns: deque[int] = deque()
        self._owners: object = lanes.owners
        self._put_off: Mapping[int, bool] = lanes.put_off
        self._behind = set(self._put_off)
        self._ahead = 0  # how many numbers wait for lanes that are not behind

    def __next__(self) -> int | None:
        if not self._left:
            raise StopIteration
        self._follow()
        while self._taken < len(self._numbers) and self._ahead <= BLOCK * len(self._turns):
            self._take_block()
        waits = False
        for lane, queue in self._in_turn():
            if lane not in self._put_off:
                waits = True
                if not self._is_full(lane):
                    return self._deal(lane, queue)
        if not waits:
            for lane, queue in self._in_turn():
                if self._put_off[lane] and not self._is_full(lane):
                    return self._deal(lane, queue)
        return None

    def _follow(self) -> None:
        """Take note of what has changed about the lanes."""
        owners, put_off = self._lanes.owners, self._lanes.put_off
        if put_off is not self._put_off:
            self._put_off = put_off
            self._behind |= put_off.keys()
            self._count_ahead()
        if owners is not self._owners:
            waiting = [part for queue in self._queues.values() for part in queue.parts()]
            self._owners, self._queues, self._behind = owners, {}, set(put_off)
            self._turns.clear()
            if waiting:
                self._share_out(np.sort(np.concatenate(waiting)))
            self._behind |= {lane for lane, queue in self._queues.items() if len(queue) > 2 * BLOCK}
            self._count_ahead()

    def _count_ahead(self) -> None:
        self._ahead = sum(len(queue) for lane, queue in self._queues.items() if lane not in self._behind)

    def _take_block(self) -> None:
        start, self._taken = self._taken, self._taken + BLOCK * max(1, len(self._turns))
        self._share_out(self._numbers[start : self._taken])

    def _share_out(self, numbers: NDArray[np.int64]) -> None:
        lanes = self._lanes.lanes_of(numbers)
        order = np.argsort(lanes, kind="stable")
        which, starts = np.unique(lanes[order], return_index=True)
        for lane, part in zip(which.tolist(), np.split(numbers[order], starts[1:]), strict=True):
            if lane not in self._queues:
                self._queues[lane] = _Queue()
                self._turns.append(lane)
            self._queues[lane].append(part)
            if lane not in self._behind:
                self._ahead += len(part)

    def _in_turn(self) -> Iterator[tuple[int, _Queue]]:
        """The lanes that have chunks, from the one whose turn it is; the turn is then the next one's."""
        for _ in range(len(self._turns)):
            lane = self._turns[0]
            self._turns.rotate(-1)
            if queue := self._queues[lane]:
                yield lane, queue

    def _deal(self, lane: int, queue: _Queue) -> int:
        self._left -= 1
        if lane not in self._behind:
            self._ahead -= 1
        elif lane not in self._put_off and len(queue) <= BLOCK + 1:
            self._behind.discard(lane)
            self._ahead += len(queue) - 1
        return queue.popleft()


class _Queue:
    """Numbers in arrays: a lane may be put off with millions of them."""

    def __init__(self) -> None:
        self._parts: deque[NDArray[np.int64]] = deque()
        self._gone = 0  # of the first part
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, part: NDArray[np.int64]) -> None:
        self._parts.append(part)
        self._length += len(part)

    def popleft(self) -> int:
        number = int(self._parts[0][self._gone])
        self._gone += 1
        self._length -= 1
        if self._gone == len(self._parts[0]):
            self._parts.popleft()
            self._gone = 0
        return number

    def parts(self) -> list[NDArray[np.int64]]:
        """What is in it, in order."""
        return [part[self._gone :] if place == 0 else part for place, part in enumerate(self._parts)]
