"""`qwf tune` finds settings for a source on a server, and how many jobs at once are worth it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..errors import UsageError
from ..optional import library
from .jobs import run_on_store
from .options import (
    JsonOption,
    OverwriteOption,
    QuietOption,
    ServerOptions,
    SourceOptions,
    SourceText,
    one_of,
    with_option_groups,
)
from .output import print_json, say, show
from .source_argument import opened_source

if TYPE_CHECKING:
    from ..errors import Interrupted
    from ..store.store import Store
    from ..tuning.stage import Stage
    from ..tuning.tuner import Tuner

UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}
MAX_JOBS: Final = 1000
"""Jobs at once that can be asked for: each is a process on this machine."""

_FIRST: Final = b"# qwf tune "
"""The first bytes of a settings file that a run writes."""


@with_option_groups
def tune(
    source: SourceText,
    jobs: Annotated[
        str, typer.Option(help="Stages: how many jobs load at once, in ascending order.")
    ] = "1,10,15,25,30",
    trials: Annotated[int, typer.Option(help="Trials of a stage, at most.", min=1)] = 40,
    duration: Annotated[str, typer.Option("--time", help="Time for all stages: 90s, 10m or 1h.")] = "10m",
    layout: Annotated[
        str,
        typer.Option(
            help="keep: that of an ingest without --layout; one by its name; or any: it is chosen too.",
            autocompletion=one_of("keep", "any", "flat", "packed", "tile"),
        ),
    ] = "keep",
    max_p99: Annotated[
        float | None,
        typer.Option(
            "--max-p99",
            help="p99 in ms that another client may wait at most.",
            min=0.0,
            show_default="1.5 times that with the defaults, and 1 ms",
        ),
    ] = None,
    max_rate: Annotated[
        float | None, typer.Option(help="Points/s at most, of all jobs together.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Settings file to write, TOML.", show_default=False)
    ] = None,
    overwrite: OverwriteOption = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Picture to write, .png or .svg.", show_default=False)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the last run of the same question.")
    ] = False,
    *,
    source_options: SourceOptions,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find the settings that load a source fastest on a server, and how many jobs at once are worth it.

    Each stage is a number of jobs that load at once, in processes of their own, under scratch names that are removed.
    A trial measures some settings and the defaults in turn; the best are confirmed on the whole grid.
    The codec is never chosen. Trials are kept as studies on the server (`qwf study`), also after Ctrl-C.

    \b
    Examples:
      qwf tune hydrogen:n=3,l=2,m=1 --grid 96 -o qwf.toml
      qwf tune psi.npy --jobs 1,2,4 --time 3m --max-p99 5 -u redis://localhost
    """
    from ..exporting.whole_file import check_free
    from ..study.needed_optuna import check_optuna
    from ..tuning.space import layout_of
    from ..tuning.tuning import Question

    layout_of(layout)
    question = Question(
        source=source,
        options=asdict(source_options),
        jobs=_jobs_of(jobs),
        trials=trials,
        seconds=_seconds_of(duration),
        layout=layout,
        max_p99=max_p99,
        resume=resume,
    )
    for path in (out, plot):
        if path is not None:
            check_free(path, overwrite=overwrite or (resume and _is_of_a_run(path)))
    if plot is not None:
        _check_picture(plot)
    check_optuna()
    library("scipy.stats", extra="study", what="tune")
    _quiet_optuna()
    with opened_source(source, source_options) as argument:
        if argument.local is None or source == "-":
            raise UsageError("tune is for sources that other processes can open: files, states and functions")
        opened = argument.local

        async def job(store: Store) -> tuple[Tuner, Interrupted | None]:
            from ..tuning.tuning import tune as measure

            return await measure(
                store,
                opened,
                question,
                signals=True,
                tell=_unsaid if quiet else say,
                finished=_unsaid if as_json else _show_stage,
            )

        tuner, interrupted = run_on_store(job, server_options, quiet=quiet, max_rate=max_rate)
    _end(tuner, source, out, plot, as_json=as_json, quiet=quiet)
    if interrupted is not None:
        raise interrupted


def _is_of_a_run(path: Path) -> bool:
    """Whether a file is one that a run writes, so that the same command may go on and write it again."""
    if path.suffix in (".png", ".svg"):
        return True
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(_FIRST)) == _FIRST
    return False


def _end(
    tuner: Tuner, source: str, out: Path | None, plot: Path | None, *, as_json: bool, quiet: bool
) -> None:
    """Print what was found, and write the files. Raises InvalidInput if one cannot be written."""
    from ..exporting.whole_file import translated_errors, written_whole
    from ..tuning.report import SettingsFile, conclusion_of, settings_of, table_of

    knee = tuner.knee
    conclusion = conclusion_of(tuner)
    file = None
    if knee is not None:
        file = SettingsFile(source=source, stage=knee, shape=tuner.grid.shape, order=tuner.order)
        if out is not None:
            with translated_errors(out), written_whole(out) as beside:
                beside.write_text(file.text, "utf-8")
    if plot is not None and any(stage.pairs for stage in tuner.stages):
        from ..tuning.figure import draw_stages

        with translated_errors(plot), written_whole(plot) as beside:
            draw_stages(tuner.stages, source).savefig(beside)
    if as_json:
        print_json(
            {
                "source": source,
                "points": tuner.grid.points,
                "jobs": knee and knee.jobs,
                "settings": {} if knee is None else settings_of(knee),
                "flags": "" if file is None else file.flags,
                "conclusion": conclusion,
                "stages": [stage.to_json() for stage in tuner.stages],
                "file": None if out is None or file is None else str(out),
                "plot": None if plot is None else str(plot),
            }
        )
        return
    for stage in tuner.stages:
        if not (stage.confirmed or stage.error):  # it was stopped, so its table was not shown yet
            for line in table_of(stage):
                show(line)
    show(conclusion)
    if file is not None:
        chosen = " ".join([*(f"{name} = {value}" for name, value in settings_of(file.stage).items())])
        show(f"settings: {chosen or 'as they are'}{f'; options: {file.flags}' if file.flags else ''}")
    for path in (out, plot):
        if path is not None and path.exists() and not quiet:
            say(f"wrote {path}")


def _show_stage(stage: Stage) -> None:
    from ..tuning.report import table_of

    for line in table_of(stage):
        show(line)


def _unsaid(_: object) -> None:
    """Say nothing."""


def _quiet_optuna() -> None:
    """Optuna says what it does at each step; what is of use is said by us."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _check_picture(plot: Path) -> None:
    """Raises UsageError if a picture cannot be drawn, or not in such a file."""
    from ..plotting.figure import need_matplotlib

    if plot.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"{plot} is written as its suffix says: .png or .svg")
    need_matplotlib()


def _jobs_of(text: str) -> list[int]:
    """The numbers of --jobs. Raises UsageError unless they are ascending whole numbers."""
    words = text.split(",")
    numbers = [int(word) if re.fullmatch("[0-9]{1,6}", word) else 0 for word in words]
    if min(numbers) < 1 or max(numbers) > MAX_JOBS or numbers != sorted(set(numbers)):
        raise UsageError(f"--jobs {text!r} must be ascending numbers up to {MAX_JOBS}, as in 1,10,30")
    return numbers


def _seconds_of(text: str) -> float:
    """The seconds of --time. Raises UsageError for text that is no time."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smh]?)", text)
    if match is None or not float(match[1]):
        raise UsageError(f"--time {text!r} is no time: write 90s, 10m or 1h")
    return float(match[1]) * UNITS[match[2]]
