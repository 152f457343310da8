"""Tests in a real browser."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial

import pytest

from tests.support.browser import Chromium, launched


@pytest.fixture(scope="package")
def chromium() -> Iterator[Chromium]:
    """The browser of all tests of the page; it has ended when others go on."""
    with launched() as browser:
        yield browser


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """An async test that has the browser runs on the browser's loop."""
    browser = pyfuncitem.funcargs.get("chromium")
    if not isinstance(browser, Chromium) or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    browser.run(partial(pyfuncitem.obj, **arguments))
    return True
