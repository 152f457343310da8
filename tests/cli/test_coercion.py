"""A value of the command line is converted as typer would, and the rest is left to typer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer._coercion import build_runtime_param

from qwf_async.cli.coercion import NOT_PLAIN, plain_value, takes_any_value

made = typer.Typer(add_completion=False)


@made.command()
def command(
    whole: int | None = None,
    number: float | None = None,
    text: str | None = None,
    flag: bool = False,
    path: Path | None = None,
    several: list[int] | None = None,
    bounded: Annotated[int, typer.Option(min=3)] = 4,
    there: Annotated[Path | None, typer.Option(exists=True)] = None,
) -> None:
    """It has a parameter of each type."""


PARAMETERS: dict[str, Any] = {str(one.name): one for one in typer.main.get_command(made).params}
FREE = ("whole", "number", "text", "flag", "path", "several")
TEXTS = (
    st.integers().map(str)
    | st.floats().map(repr)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
    | st.sampled_from(
        ["-0", "+1", "007", "1_0", " 1", "1e5", "1.", ".5", "nan", "-inf", "0x1", "١", "true", ""]
    )
)


def by_typer(name: str, value: Any) -> Any:
    parameter = PARAMETERS[name]
    context = typer.main.get_command(made).make_context("command", [])
    return build_runtime_param(parameter.type_descriptor).coerce(value, param=parameter, ctx=context)


@given(name=st.sampled_from(FREE), text=TEXTS)
def test_what_is_plain_is_what_typer_makes_of_it(name: str, text: str) -> None:
    value = [text, text] if name == "several" else text
    plain = plain_value(value, PARAMETERS[name].type_descriptor.annotation)
    if plain is not NOT_PLAIN:
        assert repr(plain) == repr(by_typer(name, value))


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("-4", int, -4),
        ("0.05", float, 0.05),
        ("1e-3", float, 0.001),
        ("a b", str, "a b"),
        ("x", Path, Path("x")),
    ],
)
def test_usual_values_are_plain(text: str, kind: type, value: object) -> None:
    assert plain_value(text, kind) == value


def test_what_has_bounds_or_checks_is_left_to_typer() -> None:
    assert {name for name, one in PARAMETERS.items() if takes_any_value(one)} == set(FREE)
