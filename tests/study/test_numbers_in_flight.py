"""A trial that was being made when the server went away has one number on its host, and shifts no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import optuna
import pytest

from qwf_async.errors import ServerUnavailable
from qwf_async.study.live_study import LiveStudy
from qwf_async.study.server_log import News, Written
from qwf_async.study.storage import StudyStorage
from tests.conftest import PATIENCE, Server


def jobs(
    stack: ExitStack, server: Server, directory: Path, count: int
) -> tuple[list[StudyStorage], list[optuna.Study]]:
    """Storages of several jobs of one host, and the study that they share; closed with the stack."""
    storages = [StudyStorage(server.url, directory=directory) for _ in range(count)]
    for storage in storages:
        stack.callback(storage.close)
    studies = [
        optuna.create_study(study_name="s", storage=storage, load_if_exists=True) for storage in storages
    ]
    return storages, studies


@pytest.mark.parametrize("is_seen", [True, False])
def test_a_creation_without_an_answer_keeps_the_number_that_others_saw(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_seen: bool
) -> None:
    with ExitStack() as stack:
        (one, other), (study, twin) = jobs(stack, own_server, tmp_path / "host", 2)
        study.optimize(lambda _: 1.0, n_trials=3)
        assert len(twin.trials) == 3
        here = one._studies.known(study._study_id)
        there = other._studies.known(study._study_id)
        step = here._log.step

        def answer_lost(position: int, tail: bytes, writes: Sequence[Written] = ()) -> News:
            """The server has the entry; another job sees it and goes away, before this one has to."""
            news = step(position, tail, writes)
            if not writes:
                return news
            monkeypatch.setattr(here._log, "step", step)
            if is_seen:
                there.refresh()
            there.go_away()
            assert there.file.merging.take()  # nobody merges meanwhile
            there.file.merging.touch()
            raise ServerUnavailable("no answer")

        monkeypatch.setattr(here._log, "step", answer_lost)
        in_flight = study.ask()
        assert in_flight.number == 3
        offline = [study.ask(), twin.ask(), study.ask()]
        assert [trial.number for trial in offline] == [4, 5, 6]
        there.file.merging.close()
        one.sync(PATIENCE)
        other.sync(PATIENCE)
        more = [s.ask() for s in (study, twin, study, twin)]
        assert [trial.number for trial in more] == [7, 8, 9, 10]
        for trial in (in_flight, *offline, *more):
            trial.study.tell(trial, float(trial.number))
        assert [trial.number for trial in study.trials] == list(range(11))
        assert [trial.value for trial in twin.trials][3:] == [float(number) for number in range(3, 11)]
        assert one.standing.failovers == 1
        assert other.standing.failovers == 1


def test_two_that_were_in_flight_are_shown_two_numbers(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is shown another number than its place, which is all that the second knows of it."""
    with ExitStack() as stack:
        storages, studies = jobs(stack, own_server, tmp_path / "host", 4)
        studies[0].optimize(lambda _: 1.0, n_trials=3)
        lives = [storage._studies.known(studies[0]._study_id) for storage in storages]
        for live in lives:
            live.refresh()
        away, first, second, observer = lives
        shown: list[int] = []

        def lose_answer(live: LiveStudy, then: Callable[[], object]) -> None:
            """Let the next entry of a job arrive, but not its answer."""
            step = live._log.step

            def lost(position: int, tail: bytes, writes: Sequence[Written] = ()) -> News:
                news = step(position, tail, writes)
                if not writes:
                    return news
                monkeypatch.setattr(live._log, "step", step)
                then()
                raise ServerUnavailable("no answer")

            monkeypatch.setattr(live._log, "step", lost)

        def one_goes_away_before() -> None:
            second.refresh()
            away.go_away()
            assert away.file.merging.take()  # nobody merges meanwhile
            away.file.merging.touch()
            shown.append(studies[0].ask().number)

        def one_sees_both() -> None:
            observer.refresh()
            observer.go_away()

        lose_answer(first, one_goes_away_before)
        shown.append(studies[1].ask().number)
        lose_answer(second, one_sees_both)
        shown.append(studies[2].ask().number)
        assert len(set(shown)) == 3
        shown += [study.ask().number for study in studies]
        assert len(set(shown)) == 7
        away.file.merging.close()
        for storage in storages:
            storage.sync(PATIENCE)
        shown += [study.ask().number for study in studies]
        assert len(set(shown)) == 11
        assert [trial.number for trial in studies[0].trials] == list(range(14))


def test_who_needs_another_number_gets_none_that_a_job_was_just_shown(
    own_server: Server, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        storages, studies = jobs(stack, own_server, tmp_path / "host", 2)
        studies[0].optimize(lambda _: 1.0, n_trials=3)
        here, there = (storage._studies.known(studies[0]._study_id) for storage in storages)
        there.refresh()
        there.file.shown.mark(3)  # as a job of the host was shown it before the server lost that trial
        there.go_away()
        assert there.file.merging.take()  # nobody merges meanwhile
        there.file.merging.touch()
        offline = studies[1].ask().number
        online = studies[0].ask().number  # the log says 3, and so it needs another
        assert len({3, offline, online}) == 3
        there.file.merging.close()
        for storage in storages:
            storage.sync(PATIENCE)
        assert here.away is None
        assert [trial.number for trial in studies[1].trials] == list(range(5))
