"""A detector of blocking calls on an event loop. It goes by which function is called, not by the clock."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from blockbuster import BlockBuster

import qwf_async

OURS: Final = str(Path(qwf_async.__file__).parent)
TESTS: Final = str(Path(__file__).parents[1])

ALLOWED: Final = (
    # The kernel answers these from memory.
    ("host/control_groups.py", "kernel_text"),  # /proc and /sys/fs/cgroup
    ("host/processes.py", "boot"),  # /proc
    ("host/processes.py", "start_of"),  # /proc
    ("client/address.py", "identity"),  # the working directory
    # Zarr's interface has no asynchronous close, and its own loop runs in another thread.
    ("zarr_store/adapter.py", "close"),
)
"""Functions of ours, by file and name, that may call what else would count as blocking."""


@contextmanager
def no_blocking_calls(allowed: Iterable[tuple[str, str]] = ALLOWED) -> Iterator[None]:
    """What blocks raises BlockingError, if an async function of ours calls it while a loop runs in the thread.

    A test's own hooks and sources may block: what it does to the loop is its own affair.
    """
    detector = BlockBuster("qwf_async")
    for function in detector.functions.values():
        function.can_block_predicate = _either(function.can_block_predicate, _is_the_tests_affair)
        function.can_block_in(
            "logging/__init__.py", "emit"
        )  # where messages go is the affair of who set logging up
        function.can_block_in("redis/utils.py", "get_lib_version")  # in redis-py 7, for each connection
        for file, name in allowed:
            function.can_block_in(f"qwf_async/{file}", name)
    detector.activate()
    try:
        yield
    finally:
        detector.deactivate()


def _either(first: Callable[..., bool], second: Callable[[], bool]) -> Callable[..., bool]:
    def predicate(*args: Any, **kwargs: Any) -> bool:
        return first(*args, **kwargs) or second()

    return predicate


def _is_the_tests_affair() -> bool:
    """Whether, from the call outwards, a function of the tests comes before an async one of ours."""
    frame = inspect.currentframe()
    frame = frame and frame.f_back  # this module lies among the tests itself
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(TESTS) and code.co_filename != __file__:
            return True
        if code.co_filename.startswith(OURS) and code.co_flags & (
            inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
        ):
            return False
        frame = frame.f_back
    return False
