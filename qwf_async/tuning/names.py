"""The names of the studies of a tuner: one study a stage, and for the same question the same beginning."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import xxhash

from .tuner import Plan

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


def study_names(
    storage: BaseStorage, plan: Plan, source: Mapping[str, Any], *, resume: bool
) -> Callable[[int], str]:
    """The name of the study of each number of jobs: `tune-<digest>.<run>-j<jobs>`.

    The digest is that of the question: the source, the space, and what bounds the search. A new run of the same
    question gets the next free number, so it replaces no study; with `resume` the last run goes on. May block.
    """
    question = [
        dict(source),
        asdict(plan.space.usual),
        list(plan.space.layouts),
        plan.max_p99,
        plan.max_rate,
    ]
    digest = xxhash.xxh3_64_hexdigest(json.dumps(question, sort_keys=True, default=str).encode())[:8]
    run = 1
    while any(_exists(storage, f"tune-{digest}.{run}-j{jobs}") for jobs in plan.jobs):
        run += 1
    if resume:
        run = max(1, run - 1)
    return lambda jobs: f"tune-{digest}.{run}-j{jobs}"


def _exists(storage: BaseStorage, name: str) -> bool:
    try:
        storage.get_study_id_from_name(name)
    except KeyError:
        return False
    return True
