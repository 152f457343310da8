"""Studies by one call: on the storage of the process, begun or gone on with.

    study = create_enhanced_study("grid", "maximize")
    study.optimize(objective, n_trials=100)

Any number of jobs may run these lines at once, on any number of hosts.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection

from ..settings import Settings
from .config_file import study_settings
from .opening import begin, find
from .storage import StudyStorage


def create_enhanced_study(
    study_name: str | None = None,
    direction: str | StudyDirection | None = None,
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
    load_if_exists: bool = True,
    *,
    directions: Sequence[str | StudyDirection] | None = None,
    url: str | None = None,
    settings: Settings | None = None,
) -> Study:
    """A study that goes on while its server is away; by default the one that is there, if there is one.

    Parameters
    ----------
    study_name: letters, digits, `.`, `_` and `-`, at most 128; one is made up if it is left out.
    direction: "minimize" or "maximize". By default that of the study, and "minimize" for a new one.
    sampler, pruner, directions: as `optuna.create_study` has them.
    load_if_exists: whether a study that is there is gone on with. Unlike with `optuna.create_study`, this
        is the default, so that many jobs can make the same call.
    url, settings: the server; see `get_enhanced_storage`.

    Raises `optuna.exceptions.DuplicatedStudyError` if there is a study of the name with other directions, or one
    that is not to be loaded; InvalidInput for a name with other characters; ValueError for a direction
    that is none, and for `direction` beside `directions`; and what the storage raises.
    """
    if direction is not None and directions is not None:
        raise ValueError("direction and directions are both given: give one of them")
    wanted = directions if direction is None else [direction]
    storage = get_enhanced_storage(url, settings=settings)
    study, _ = begin(
        storage, study_name, wanted, sampler=sampler, pruner=pruner, load_if_exists=load_if_exists
    )
    return study


def load_enhanced_study(
    name: str,
    *,
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
    url: str | None = None,
    settings: Settings | None = None,
) -> Study:
    """The study of that name, with all of its trials. Raises NoSuchStudy, a KeyError, if there is none."""
    return find(get_enhanced_storage(url, settings=settings), name, sampler=sampler, pruner=pruner)


def get_enhanced_storage(url: str | None = None, *, settings: Settings | None = None) -> StudyStorage:
    """The storage of this process for a server: the same for each call.

    In a process that is forked it begins anew, with connections of its own.

    The server is the one that `url` names, else that of `settings`. These are by default read from where
    `qwf` reads them (QWF_URL, REDIS_URL, a settings file), or from a `redis_config.json` in the working
    directory. If none of them names a server, it is the embedded one. Raises UsageError for settings
    that cannot be used.
    """
    if settings is None:
        settings = study_settings(url=url)
    elif url is not None:
        settings = replace(settings, url=url)
    return _storages.of(settings)


def get_storage_status(url: str | None = None, *, settings: Settings | None = None) -> dict[str, Any]:
    """How the storage of this process is: whether its server is there, and what waits to be merged.

    `StudyStorage.get_storage_status` has the keys, and `get_storage_info` more of them.
    """
    return get_enhanced_storage(url, settings=settings).get_storage_status()


class _Storages:
    """The storages of a process, one for all settings that are the same. In a child of a fork they begin anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Settings, StudyStorage] = {}

    def of(self, settings: Settings) -> StudyStorage:
        with self._lock:
            if settings not in self._made:
                self._made[settings] = StudyStorage(settings=settings)
            return self._made[settings]

    def unlock(self) -> None:
        """In a child, a lock that a thread of its parent held would stay shut."""
        self._lock = threading.Lock()


_storages: Final = _Storages()
os.register_at_fork(after_in_child=_storages.unlock)
