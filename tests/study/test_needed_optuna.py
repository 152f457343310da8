"""Without Optuna, or with one that is too old, it is said what to install."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from qwf_async.errors import UsageError
from qwf_async.study import needed_optuna


def test_optuna_is_found() -> None:
    needed_optuna.check_optuna()


def test_an_older_optuna_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needed_optuna, "LOWEST", (99, 1))
    with pytest.raises(UsageError) as refused:
        needed_optuna.check_optuna()
    assert str(refused.value) == (
        f"studies need optuna 99.1 or later, and {version('optuna')} is installed: pip install 'qwf_async[study]'"
    )


def test_without_optuna_the_rest_is_there() -> None:
    script = (
        "import sys; sys.modules['optuna'] = None\n"
        "import qwf_async as qwf\n"
        "qwf.study\n"
        "from qwf_async.study.needed_optuna import check_optuna\n"
        "try:\n    check_optuna()\nexcept qwf.UsageError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ("a study needs optuna, which is not installed: pip install 'qwf_async[study]'\n")
