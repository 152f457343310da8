"""`qwf study` works with studies of Optuna that are kept on the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from .fact_table import print_facts
from .options import JsonOption, QuietOption, ServerOptions, one_of, with_option_groups
from .output import print_json, say, show
from .study_ask import ask, enqueue, tell
from .study_care import reap, rm, sync
from .study_exchange import export, import_, migrate
from .study_rows import plain
from .study_storage import StudyArgument, studies, study_of
from .study_trials import best, trials

if TYPE_CHECKING:
    from optuna.study import Study

    from ..study import StudyStorage

study_app = typer.Typer(
    name="study", help="Studies of Optuna, which go on while the server is away.", no_args_is_help=True
)


@study_app.command()
@with_option_groups
def create(
    name: StudyArgument,
    direction: Annotated[
        list[str] | None,
        typer.Option(
            help="minimize or maximize, once for each objective.",
            show_default="minimize",
            autocompletion=one_of("minimize", "maximize"),
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a study that is there already.")] = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Begin a study, unless it is there already. One that has another direction is refused.

    \b
    Example: qwf study create grid --direction maximize
    """
    for word in direction or ():
        if word not in ("minimize", "maximize"):
            raise UsageError(f"{word!r} is no direction: minimize or maximize")
    with studies(server_options, quiet=quiet) as storage:
        from ..study.opening import begin, words

        study, created = begin(storage, name, direction, load_if_exists=not strict)
        directions = words(study.directions)
    if as_json:
        print_json({"name": name, "directions": directions, "created": created})
    elif not quiet:
        say(f"{'began' if created else 'is there already:'} {name}, {', '.join(directions)}")


@study_app.command()
@with_option_groups
def ls(*, server_options: ServerOptions, as_json: JsonOption = False) -> None:
    """List the studies: name, directions, trials, how many of them are in which state, best value.

    \b
    Example: qwf study ls --json
    """
    with studies(server_options) as storage:
        rows = [_summary(storage, study_of(storage, one.study_name)) for one in storage.get_all_studies()]
    rows.sort(key=lambda row: str(row["name"]))
    if as_json:
        print_json(plain(rows))
        return
    for row in rows:
        states = ", ".join(f"{number} {state}" for state, number in row["states"].items())
        value = "-" if row["best"] is None else f"{row['best']['values'][0]:.9g}"
        show(
            f"{row['name']:24} {','.join(row['directions']):17} {row['trials']:>8,} {value:>16}  {states}".rstrip()
        )


@study_app.command()
@with_option_groups
def info(name: StudyArgument, *, server_options: ServerOptions, as_json: JsonOption = False) -> None:
    """Say what is known of a study: directions, trials by state, when, the best, parameters, attributes.

    \b
    Example: qwf study info grid
    """
    with studies(server_options) as storage:
        study = study_of(storage, name)
        facts = _summary(storage, study) | _details(study)
    if as_json:
        print_json(plain(facts))
    else:
        print_facts({name: "none" if value is None else value for name, value in facts.items()})


@study_app.command()
@with_option_groups
def status(*, server_options: ServerOptions, as_json: JsonOption = False) -> None:
    """Say how the storage of studies is: server there or away, what waits to be merged, workers alive.

    \b
    Example: qwf study status --json
    """
    with studies(server_options) as storage:
        facts = storage.get_storage_info()
    if as_json:
        print_json(facts)
    else:
        print_facts(facts | {"overlay_path": facts["overlay_path"] or "none"})


for command in (best, trials, ask, enqueue, reap, rm, sync, export, migrate):
    study_app.command()(command)
study_app.command("import")(import_)
study_app.command(context_settings={"ignore_unknown_options": True})(
    tell
)  # a value may begin with a minus sign


def _summary(storage: StudyStorage, study: Study) -> dict[str, Any]:
    from ..study.opening import words
    from .study_trials import best_trials

    states = +storage.count_states(study._study_id)
    front = best_trials(study) if len(study.directions) == 1 else []
    return {
        "name": study.study_name,
        "directions": words(study.directions),
        "trials": states.total(),
        "states": dict(sorted(states.items())),
        "best": {"number": front[0].number, "values": front[0].values} if front else None,
    }


def _details(study: Study) -> dict[str, Any]:
    found = study.get_trials(deepcopy=False)
    begun = [trial.datetime_start for trial in found if trial.datetime_start]
    ended = [trial.datetime_complete for trial in found if trial.datetime_complete]
    names = {name: str(one) for trial in found for name, one in trial.distributions.items()}
    return {
        "first_start": min(begun).isoformat() if begun else None,
        "last_end": max(ended).isoformat() if ended else None,
        "params": names,
        "user_attrs": study.user_attrs,
    }
