"""Options that several commands share, each declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer


def one_of(*words: str) -> Callable[[str], list[str]]:
    """What a shell offers for a value that is one of a few words."""

    def begun(incomplete: str) -> list[str]:  # typer knows the parameter by its name
        return [word for word in words if word.startswith(incomplete)]

    return begun


Name = Annotated[str, typer.Argument(help="Name of a wavefunction.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no messages but errors.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Where the embedded server keeps its data. Else $QWF_DATA_DIR.", show_default=False
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file, TOML or JSON. Else $QWF_CONFIG.", show_default=False),
]

Grid = Annotated[str | None, typer.Option(help="Points: 128 (a cube), or 128x128x64.", show_default=False)]
Box = Annotated[str | None, typer.Option(help="Extents in bohr: 20, or 20x20x10.", show_default=False)]
Frames = Annotated[int | None, typer.Option(help="Points along t.", show_default=False)]
Step = Annotated[float | None, typer.Option(help="Time step in ħ/Eh.", show_default=False)]
Dims = Annotated[
    str | None,
    typer.Option(
        help="Which dimension of a file is which axis: x,y,z,t in their order (c: re and im, -: left out), "
        "or by name, lon=x,time=t.",
        show_default="by their names, else x,y,z or t,x,y,z",
    ),
]
Tile = Annotated[
    str | None, typer.Option(help="Points of a tile, as in 16x16x16.", show_default="about 8x8x8")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which server, and with which settings; each field is an option. None leaves it to the settings."""

    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            "-u",
            help="Server: redis://host:port, rediss://… (TLS) or unix:///path. "
            "Else $QWF_URL, else $REDIS_URL, else the embedded server.",
            show_default=False,
        ),
    ] = None
    data_dir: DataDir = None
    config: ConfigFile = None
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file", help="File that holds the password. Else $QWF_PASSWORD.", show_default=False
        ),
    ] = None

    @property
    def flags(self) -> dict[str, Any]:
        """The fields that are settings, by name."""
        return {"url": self.url, "data_dir": self.data_dir, "password_file": self.password_file}

    @property
    def again(self) -> str:
        """The options as another command needs them, each after a blank; a password in the URL is masked."""
        url = self.url
        if url is not None:
            from ..client.address import Address

            address = Address.parse(url)
            url = address.shown if "password" in address.options else url
        given = {"-u": url, "--data-dir": self.data_dir, "--config": self.config}
        given["--password-file"] = self.password_file
        return "".join(f" {name} {quote(str(value))}" for name, value in given.items() if value is not None)


def on_server(command: Callable[..., None]) -> Callable[..., None]:
    """A command as typer is to see it: the options of Where stand in the place of its parameter `where`."""
    signature = inspect.signature(command, eval_str=True)
    options = inspect.signature(Where, eval_str=True).parameters
    parameters: list[inspect.Parameter] = []
    for one in signature.parameters.values():
        parameters += options.values() if one.annotation is Where else [one.replace(kind=one.KEYWORD_ONLY)]

    @wraps(command)
    def with_options(**given: Any) -> None:
        where = Where(**{name: given.pop(name) for name in options})
        command(**given, where=where)

    with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # PEP 362
    return with_options
