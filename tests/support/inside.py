"""`qwf` commands run inside of the test's own process: quick, and what they leave open is seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qwf_async.cli.app import app
from qwf_async.errors import QwfError

from .command import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """A directory in which commands run, without the settings of the user who runs the tests."""

    directory: Path

    @classmethod
    def at(cls, directory: Path, patch: pytest.MonkeyPatch, **variables: str) -> Inside:
        patch.chdir(directory)
        for name in ("QWF_URL", "REDIS_URL", "QWF_CONFIG", "QWF_DATA_DIR"):
            patch.delenv(name, raising=False)
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
            patch.setenv(name, str(directory / name.lower()))
        for name, value in variables.items():
            patch.setenv(name, value)
        return cls(directory=directory)

    def qwf(self, *arguments: str, typed: str | None = None) -> Outcome:
        """The outcome of a command, as a shell sees it."""
        result = CliRunner().invoke(app, arguments, input=typed, prog_name="qwf")
        status, said = result.exit_code, result.stderr
        if isinstance(result.exception, QwfError):  # `run` makes of it
            status = result.exception.exit_code
            said += f"qwf: {result.exception} (exit {status})\n"
        elif result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(status=status, out=result.stdout, err=said)
