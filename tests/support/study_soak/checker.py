"""What must hold of a study in the end, given what its workers were told: nothing lost, nothing invented."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from optuna.trial import FrozenTrial, TrialState

from tests.support.study_soak.journal import Call, Told

ASKED_AS: Final = "qwf:asked_as"
LATE: Final = "qwf:late_result_of"

Explained = Callable[[Told, Call], bool]
"""Whether the error of a call is one that a fault explains."""


@dataclass(slots=True, kw_only=True)
class Expected:
    """One trial of a worker, as it was told of it."""

    worker: str
    count: int
    host: str
    id: int
    number: int
    params: dict[str, float] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    maybe_params: set[str] = field(default_factory=set)
    reports: dict[int, float] = field(default_factory=dict)
    maybe_reports: dict[int, float] = field(default_factory=dict)
    marks: list[int] = field(default_factory=list)
    maybe_marks: list[int] = field(default_factory=list)
    told: Call | None = None

    def __str__(self) -> str:
        return f"trial {self.id} of {self.worker}, shown as {self.number}"

    def take(self, call: Call) -> None:
        """Learn from a call after the one that asked. What came before a write that is done is done, too."""
        done = call.outcome == "done"
        match call.kind:
            case "param" if done:
                self.params[call.content] = call.answer
            case "param":
                self.maybe_params.add(call.content)
            case "report":
                step, value = call.content
                (self.reports if done else self.maybe_reports)[step] = value
            case "attr":
                (self.marks if done else self.maybe_marks).append(call.content[1])
            case "tell":
                self.told = call
        if done and call.kind != "param":
            self.settled = set(self.params)

    def outcome(self) -> tuple[str, list[float] | None]:
        """State and values as told. A pruned trial has the value that it reported last."""
        assert self.told is not None
        state, values = self.told.content
        if state == "PRUNED" and self.reports:
            values = [self.reports[max(self.reports)]]
        return state, values


def expected(journals: Sequence[Told]) -> Iterator[Expected]:
    """Every trial that a worker was given."""
    for told in journals:
        trials: dict[int, Expected] = {}
        for call in told.calls:
            if call.kind == "ask" and call.outcome == "done":
                trial_id, number = call.answer
                trials[call.trial] = Expected(
                    worker=told.worker, count=call.trial, host=told.host, id=trial_id, number=number
                )
            elif call.trial in trials:
                trials[call.trial].take(call)
        yield from trials.values()


def check(
    journals: Sequence[Told],
    views: Sequence[Sequence[FrozenTrial]],
    explained: Explained,
    queued: Sequence[float] = (),
) -> list[str]:
    """What is wrong, in words. `views` are the study as each host reads it, `queued` x of trials queued before."""
    trials = {trial._trial_id: trial for trial in views[0]}
    asked = list(expected(journals))
    return [
        *_views(views),
        *_numbers(views[0], asked),
        *(line for each in asked for line in _trial(each, trials)),
        *_once(views[0]),
        *_invented(journals, asked, trials),
        *_queue(journals, views[0], queued),
        *_running(views[0], journals, asked),
        *_errors(journals, explained),
    ]


def _views(views: Sequence[Sequence[FrozenTrial]]) -> Iterator[str]:
    for number, view in enumerate(views[1:], 1):
        if len(view) != len(views[0]):
            yield f"host 0 finds {len(views[0])} trials, and host {number} {len(view)}"
        for one, other in zip(views[0], view, strict=False):
            if one != other:
                yield f"host 0 has {one}, and host {number} {other}"
                break


def _numbers(trials: Sequence[FrozenTrial], asked: Sequence[Expected]) -> Iterator[str]:
    numbers = sorted(trial.number for trial in trials)
    if numbers != list(range(len(numbers))):
        yield f"the numbers of {len(numbers)} trials are not dense: up to {numbers[-1]}"
    for number, count in Counter(trial._trial_id for trial in trials).items():
        if count > 1:
            yield f"id {number} is there {count} times"
    shown: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
    holders: Counter[int] = Counter()
    queued = {trial._trial_id for trial in trials if "fixed_params" in trial.system_attrs}
    for each in asked:
        if (
            each.id not in queued
        ):  # those have the numbers that whoever queued them was given, maybe elsewhere
            shown[each.host, each.number].add(each.id)
        holders[each.id] += 1
    for (host, number), ids in shown.items():
        if len(ids) > 1:
            yield f"number {number} was shown on {host} for the trials {sorted(ids)}"
    for trial_id, count in holders.items():
        if count > 1:
            yield f"trial {trial_id} was given to {count} workers"


def _trial(each: Expected, trials: dict[int, FrozenTrial]) -> Iterator[str]:
    found = trials.get(each.id)
    if found is None:
        yield f"{each} is lost"
        return
    if found.number != each.number and found.system_attrs.get(ASKED_AS) != each.number:
        yield f"{each} has number {found.number}, and {ASKED_AS} {found.system_attrs.get(ASKED_AS)}"
    result = _result(each, found, trials)
    if result is None:
        told = (each.told.outcome, *each.outcome()) if each.told else "nothing"
        yield f"{each} was told {told}, and is {found.state.name} {found.values}"
        result = found
    yield from _content(each, result)


def _result(each: Expected, found: FrozenTrial, trials: dict[int, FrozenTrial]) -> FrozenTrial | None:
    """The trial that holds what was told: this one, or another that came late. None if neither does."""
    if each.told is None:
        return found if not found.state.is_finished() or found.state == TrialState.FAIL else None
    state, values = each.outcome()
    if (found.state.name, found.values) == (state, values):
        return found
    if each.told.outcome != "done":
        return found if not found.state.is_finished() or found.state == TrialState.FAIL else None
    late = [trial for trial in trials.values() if trial.system_attrs.get(LATE) in (each.id, found.number)]
    return next((trial for trial in late if (trial.state.name, trial.values) == (state, values)), None)


def _content(each: Expected, found: FrozenTrial) -> Iterator[str]:
    for name in each.settled:
        if found.params.get(name) != each.params[name]:
            yield f"{each} has {name} {found.params.get(name)}, and was given {each.params[name]}"
    for name, value in found.params.items():
        if name not in each.maybe_params and each.params.get(name) != value:
            yield f"{each} has a parameter {name} {value} that nobody gave"
    for step, value in each.reports.items():
        if found.intermediate_values.get(step) != value:
            yield f"{each} reported {value} at {step}, and has {found.intermediate_values.get(step)}"
    for step, value in found.intermediate_values.items():
        if value not in (each.reports.get(step), each.maybe_reports.get(step)):
            yield f"{each} has a report {value} at {step} that nobody made"
    mark = found.user_attrs.get("mark")
    if (each.marks and mark is None) or (mark is not None and mark not in each.marks + each.maybe_marks):
        yield f"{each} has the mark {mark}, and was given {each.marks}"


def _once(trials: Sequence[FrozenTrial]) -> Iterator[str]:
    """No parameter twice: each is drawn anew."""
    seen: dict[float, FrozenTrial] = {}
    for trial in trials:
        x = trial.params.get("x")
        if x is None:
            continue
        other = seen.setdefault(x, trial)
        if other is not trial and LATE not in {**trial.system_attrs, **other.system_attrs}:
            yield f"trials {other.number} and {trial.number} are the same one, x = {x}"


def _invented(
    journals: Sequence[Told], asked: Sequence[Expected], trials: dict[int, FrozenTrial]
) -> Iterator[str]:
    """Trials that nobody was given: one for each call that asked for one and had no answer, and bare."""
    known = {each.id for each in asked}
    others = [
        trial
        for trial in trials.values()
        if trial._trial_id not in known and not {LATE, "fixed_params"} & set(trial.system_attrs)
    ]
    unanswered = sum(
        call.kind == "ask" and call.outcome != "done" for told in journals for call in told.calls
    )
    if len(others) > unanswered:
        yield f"{len(others)} trials that nobody was given, and {unanswered} calls without an answer"
    for trial in others:
        if trial.params or trial.values or trial.state not in (TrialState.RUNNING, TrialState.FAIL):
            yield f"trial {trial._trial_id} was given to nobody, and is {trial}"


def _queue(journals: Sequence[Told], trials: Sequence[FrozenTrial], queued: Sequence[float]) -> Iterator[str]:
    """Each trial that was queued is there once, and what was not acknowledged at most once."""
    found = Counter(
        trial.system_attrs["fixed_params"].get("x")
        for trial in trials
        if "fixed_params" in trial.system_attrs and LATE not in trial.system_attrs
    )
    calls = [call for told in journals for call in told.calls if call.kind == "enqueue"]
    must = {*queued, *(call.content for call in calls if call.outcome == "done")}
    may = must | {call.content for call in calls}
    for x, count in found.items():
        if count > 1 or x not in may:
            yield f"the trial queued with x = {x} is there {count} times"
    yield from (f"the trial queued with x = {x} is lost" for x in must - set(found))


def _running(
    trials: Sequence[FrozenTrial], journals: Sequence[Told], asked: Sequence[Expected]
) -> Iterator[str]:
    """Nothing runs whose worker was killed. What a worker left after an error runs: another may tell its result."""
    failed = {
        (told.worker, call.trial) for told in journals for call in told.calls if call.outcome == "failed"
    }
    left = {each.id for each in asked if (each.worker, each.count) in failed}
    without_id = len(failed) - len(left)
    ghosts = [
        trial.number for trial in trials if trial.state == TrialState.RUNNING and trial._trial_id not in left
    ]
    if len(ghosts) > without_id:
        yield f"{len(ghosts)} trials run whose workers have ended, as {ghosts[:5]}"


def _errors(journals: Sequence[Told], explained: Explained) -> Iterator[str]:
    for told in journals:
        for call in told.calls:
            if call.outcome == "failed" and not explained(told, call):
                yield f"{told.worker}: {call.kind} of its trial {call.trial} raised {call.answer}"
