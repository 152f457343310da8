"""The storage that a command on studies works on, and the study that it names."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import Refused
from .options import ServerOptions
from .output import say

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study

    from ..study import StudyStorage

StudyArgument = Annotated[str, typer.Argument(help="Name of a study.", show_default=False)]


@contextmanager
def studies(options: ServerOptions, *, quiet: bool = False) -> Iterator[StudyStorage]:
    """The storage of the server that the options name, closed at the end.

    A study that is there already, or is another than was asked for, ends the command as Refused.
    Says in one line if the embedded server had to be started, unless `quiet`.
    """
    from ..study.needed_optuna import check_optuna

    check_optuna()
    import optuna

    from ..study import StudyStorage
    from ..study.config_file import study_settings

    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # set by `main` for the time until now
        signal.signal(signal.SIGINT, signal.default_int_handler)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = StudyStorage(settings=study_settings(options.config, warn=say, **options.settings))
    if storage.started is not None and not quiet:
        say(f"started the embedded server, data in {storage.started}; 'qwf server stop' ends it")
    try:
        yield storage
    except optuna.exceptions.DuplicatedStudyError as error:
        raise Refused(str(error)) from error
    finally:
        storage.close()


def study_of(storage: BaseStorage, name: str) -> Study:
    """The study of that name. Raises NoSuchStudy if there is none."""
    from ..study.opening import find

    return find(storage, name)
