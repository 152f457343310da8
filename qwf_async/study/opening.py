"""A study begun, or one that is there, in a storage of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection

from ..catalog.keys import check_name
from ..errors import InvalidInput, QwfError
from ..wording import phrase, printable, quoted
from .foreign.source import has_foreign_study
from .link import Server
from .storage import StudyStorage

Direction = str | StudyDirection
"""minimize or maximize."""


class NoSuchStudy(InvalidInput, KeyError):
    """There is no study of that name. It is a KeyError too, as Optuna's own storages raise it."""

    def __str__(self) -> str:
        return printable(str(self.args[0]))  # a KeyError would quote it


def begin(
    storage: BaseStorage,
    name: str | None,
    directions: Sequence[Direction] | None,
    *,
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
    load_if_exists: bool,
) -> tuple[Study, bool]:
    """A study of that name, and whether it is new. Without a name one is made up; `directions` are by default
    those that the study has, and minimize for a new one.

    Raises InvalidInput for a name with other characters than letters, digits, `.`, `_` and `-`, ValueError for
    directions that are none, and DuplicatedStudyError if a study of the name is there and other directions are
    asked for, or it is not to be loaded.
    """
    if name is not None:
        check_name(name, "name of a study")
    wanted: Any = None if directions is None else list(directions)  # Optuna checks what is in it
    options: dict[str, Any] = {"storage": storage, "study_name": name, "sampler": sampler, "pruner": pruner}
    try:
        return optuna.create_study(**options, directions=wanted), True
    except DuplicatedStudyError as error:
        if not load_if_exists:
            advice = phrase(
                command_line="without --strict it is taken as it is", python="load_if_exists=True takes it"
            )
            raise DuplicatedStudyError(f"the study {name!r} is there already: {advice}") from error
    study = find(storage, str(name), sampler=sampler, pruner=pruner)
    if wanted is not None and words(wanted) != words(study.directions):
        raise DuplicatedStudyError(
            f"the study {name!r} is there already and its direction is {', '.join(words(study.directions))}, "
            f"not {', '.join(words(wanted))} as asked for: ask for the same, or take another name"
        )
    return study, False


def find(
    storage: BaseStorage,
    name: str,
    *,
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
) -> Study:
    """The study of that name. Raises NoSuchStudy if there is none; it says so if others may have to be migrated."""
    try:
        return optuna.load_study(storage=storage, study_name=name, sampler=sampler, pruner=pruner)
    except KeyError as error:
        raise NoSuchStudy(f"there is no study {quoted(name)}{_elsewhere(storage, name)}") from error


def _elsewhere(storage: BaseStorage, name: str) -> str:
    """That the server has the study in Optuna's own storage for Redis, if so: users of it look for theirs."""
    if not isinstance(storage, StudyStorage):
        return ""
    with closing(Server(storage.place)) as server:
        try:
            said = has_foreign_study(server, name)
        except QwfError:  # not answered, or not permitted: it is but a hint
            return ""
    return f", but {said}" if said else ""


def words(directions: Sequence[Direction]) -> list[str]:
    """minimize or maximize, for each objective."""
    return [one.name.lower() if isinstance(one, StudyDirection) else one for one in directions]
