"""Jobs of a study as processes of their own: `python -m tests.support.study_jobs URL NAME JOBS TRIALS`.

They are forked from one that has all imports, and each makes the calls of a script of the guide. A line
`JOB NUMBER VALUE` says that a trial is done, as far as the job was told. NAME may hold `%d` for the number of the
job. The program ends with 1 if a job fails.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import optuna

from qwf_async.study import create_enhanced_study, get_enhanced_storage


def run(url: str, name: str, job: int, trials: int) -> None:
    """One job."""

    def told(_: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        os.write(1, f"{job} {trial.number} {trial.value!r}\n".encode())  # whole, whoever else writes there

    sampler = optuna.samplers.RandomSampler()
    study = create_enhanced_study(name, "minimize", sampler, optuna.pruners.NopPruner(), url=url)
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=trials, callbacks=[told])
    get_enhanced_storage(url).close()


@contextmanager
def jobs(url: str, name: str, *, number: int, trials: int) -> Iterator[subprocess.Popen[str]]:
    """Jobs under way; killed at the end of a `with`."""
    command = [sys.executable, "-m", "tests.support.study_jobs", url, name, str(number), str(trials)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def main(url: str, name: str, number: str, trials: str) -> int:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    children = []
    for job in range(int(number)):
        child = os.fork()
        if child == 0:
            try:
                run(url, name.replace("%d", str(job)), job, int(trials))
            except BaseException:  # noqa: BLE001 # the child of a fork must not go on where its parent was
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
