"""Search spaces in files: what they mean, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from qwf_async.errors import InvalidInput
from qwf_async.study.space import read_space

JSON = """{
  "lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": true},
  "x": {"type": "float", "low": -1, "high": 1},
  "layers": {"type": "int", "low": 1, "high": 9, "step": 2},
  "kind": {"type": "categorical", "choices": ["a", 1, 2.5, true]}
}"""
TOML = """
[lr]
type = "float"
low = 1e-5
high = 0.1
log = true
[x]
type = "float"
low = -1
high = 1
[layers]
type = "int"
low = 1
high = 9
step = 2
[kind]
type = "categorical"
choices = ["a", 1, 2.5, true]
"""


@pytest.mark.parametrize(("name", "text"), [("s.json", JSON), ("s.toml", TOML), ("space", "\ufeff" + JSON)])
def test_a_space_is_read_in_its_order(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    space = read_space(tmp_path / name)
    assert list(space.items()) == [
        ("lr", FloatDistribution(1e-5, 0.1, log=True)),
        ("x", FloatDistribution(-1.0, 1.0)),
        ("layers", IntDistribution(1, 9, step=2)),
        ("kind", CategoricalDistribution(["a", 1, 2.5, True])),
    ]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('{"type": "real", "low": 0, "high": 1}', "type must be one of float, int, categorical, not 'real'"),
        ('{"low": 0, "high": 1}', "type must be one of float, int, categorical, not 'None'"),
        ("3", "'3' is no table with type, and low and high or choices"),
        ('{"type": "float", "low": 0}', "high missing"),
        ('{"type": "int"}', "high and low missing"),
        (
            '{"type": "int", "low": 0, "high": 1, "max": 3}',
            "unknown key 'max': of int are known high, log, low, step",
        ),
        ('{"type": "int", "low": 0.5, "high": 1}', "low must be a whole number of at most 2⁵³, not '0.5'"),
        (
            '{"type": "int", "low": 0, "high": 1e3}',
            "high must be a whole number of at most 2⁵³, not '1000.0'",
        ),
        ('{"type": "float", "low": 0, "high": NaN}', "high must be a finite number, not 'nan'"),
        ('{"type": "float", "low": 0, "high": 1%s}' % ("0" * 400), "high must be a finite number, not '1000"),
        ('{"type": "float", "low": true, "high": 2}', "low must be a finite number, not 'True'"),
        ('{"type": "float", "low": 2, "high": 1}', "low = 2.0 is above high = 1.0"),
        ('{"type": "float", "low": 0, "high": 1, "log": true}', "low"),
        ('{"type": "float", "low": 0, "high": 1, "log": 1}', "log must be true or false, not '1'"),
        ('{"type": "float", "low": 0, "high": 1, "step": 0.3}', "the range is not divisible by `step`"),
        ('{"type": "categorical", "choices": []}', "choices must be a list that is not empty, not '[]'"),
        ('{"type": "categorical", "choices": [NaN]}', "'nan' is no choice"),
        ('{"type": "categorical", "choices": [[1]]}', "'[1]' is no choice"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(tmp_path: Path, entry: str, said: str) -> None:
    path = tmp_path / "space.json"
    path.write_text(f'{{"x": {entry}}}')
    with pytest.raises(InvalidInput) as refused:
        read_space(path)
    assert str(refused.value).startswith(f"the parameter 'x' in {path}: ")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be used: "),
        ('{"x": {"type": "int", "low": 0, "high": 1}, "x": {}}', "'x' is there twice"),
        ("[]", "names no parameter"),
        ("{}", "names no parameter"),
        ("[" * 100_000, "cannot be used: "),
    ],
)
def test_a_file_that_holds_no_space_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "space.json"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=str(path)) as refused:
        read_space(path)
    assert said in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"the space in .*/none\.toml cannot be used: No such file"):
        read_space(tmp_path / "none.toml")
