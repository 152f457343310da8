"""Options that several commands share, each declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from functools import wraps
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from .completion import sources, stored_names

if TYPE_CHECKING:
    from ..layout import Slab


def one_of(*words: str) -> Callable[[str], list[str]]:
    """A completion for typer: a shell offers those of the words that begin as the user has typed."""

    def beginning_with(incomplete: str) -> list[str]:  # typer knows the parameter by its name
        return [word for word in words if word.startswith(incomplete)]

    return beginning_with


NameArgument = Annotated[
    str,
    typer.Argument(help="Name of a wavefunction.", show_default=False, autocompletion=stored_names),
]
SourceText = Annotated[
    str, typer.Argument(help="A source, given as for ingest.", show_default=False, autocompletion=sources)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no messages but errors.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]
UnitsOption = Annotated[
    str | None,
    typer.Option(
        "--units",
        help="hartree (Eh, bohr, ħ/Eh), or eV/nm/fs: energies in eV, lengths in nm, times in fs.",
        show_default=False,
        autocompletion=one_of("hartree", "eV/nm/fs"),
    ),
]
TileOption = Annotated[
    str | None, typer.Option(help="Points of a tile, as in 16x16x16.", show_default="about 8x8x8")
]


def tile_shape(tile: str | None) -> tuple[int, int, int] | None:
    """Points of a tile along x, y and z, as --tile has them. Raises UsageError for text that is no tile."""
    if tile is None:
        return None
    sizes = [int(size) if size.isdecimal() else 0 for size in tile.split("x")]
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
        raise UsageError(f"--tile {tile!r} is no tile: write 16x16x16, points along x, y and z")
    x, y, z = (*sizes, 1, 1)[:3]
    return x, y, z


def slab_of(slab: str | None) -> Slab | None:
    """Points of a slab along t, x, y and z, or "all", as --slab has them. Raises UsageError for other text."""
    if slab is None:
        return None
    if slab == "all":
        return "all"
    sizes = [int(size) if size.isdecimal() else 0 for size in slab.split("x")]
    if not 1 <= len(sizes) <= 4 or min(sizes) < 1:
        raise UsageError(f"--slab {slab!r} is no slab: write 16x16x16x4, points along x, y, z and t, or all")
    x, y, z, t = (*sizes, 1, 1, 1)[:4]
    return t, x, y, z


DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Where the embedded server keeps its data. Else $QWF_DATA_DIR.", show_default=False
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file, TOML or JSON. Else $QWF_CONFIG.", show_default=False),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """How a SOURCE is to be read; each field is an option. None leaves it to the source."""

    grid: Annotated[
        str | None, typer.Option(help="Points: 128 (a cube), or 128x128x64.", show_default=False)
    ] = None
    box: Annotated[
        str | None, typer.Option(help="Extents in bohr (nm): 20, or 20x20x10.", show_default=False)
    ] = None
    frames: Annotated[int | None, typer.Option(help="Points along t.", show_default=False)] = None
    dt: Annotated[float | None, typer.Option(help="Time step in ħ/Eh (fs).", show_default=False)] = None
    dims: Annotated[
        str | None,
        typer.Option(
            help="Which dimension of a file is which axis: x,y,z,t in their order (c: re and im, -: left out), "
            "or by name, lon=x,time=t.",
            show_default="by their names, else x,y,z or t,x,y,z",
        ),
    ] = None
    units: Annotated[
        str | None,
        typer.Option(
            help="hartree, or eV/nm/fs: then numbers in SOURCE, --box, --dt and the axes are in eV, nm, fs, ħ/nm "
            "and 1/fs. Functions get and return atomic units always.",
            show_default="hartree",
            autocompletion=one_of("hartree", "eV/nm/fs"),
        ),
    ] = None


UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        "-u",
        help="Server: host, host:port, /path/of/socket, redis://…, rediss://… (TLS), unix:///path, or a cluster's "
        "redis+cluster://host:port,host:port. "
        "Else $QWF_URL, else $REDIS_URL, else the embedded server.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Which server is asked, and with which settings; each field is an option. None leaves it to the settings."""

    url: UrlOption = None
    data_dir: DataDirOption = None
    config: ConfigOption = None
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file", help="File that holds the password. Else $QWF_PASSWORD.", show_default=False
        ),
    ] = None
    node_map: Annotated[
        str | None,
        typer.Option(
            "--node-map",
            help="Where nodes of a cluster are reached, if not where they say: announced=reachable,…, each "
            "host:port or a host; announced may be a node's id, reachable the path of a socket.",
            show_default=False,
        ),
    ] = None
    read_from: Annotated[
        str | None,
        typer.Option(
            "--read-from",
            help="Read values from a cluster's nodes that take the writes (primary, the default), or from "
            "a replica of each, which may be a moment behind.",
            show_default=False,
        ),
    ] = None

    @property
    def settings(self) -> dict[str, Any]:
        """Name → value of the options that are settings."""
        return {
            "url": self.url,
            "data_dir": self.data_dir,
            "password_file": self.password_file,
            "node_map": self.node_map,
            "read_from": self.read_from,
        }

    @property
    def command_line(self) -> str:
        """The same options for another command, each after a blank; a password in the URL is masked."""
        url = self.url
        if url is not None:
            from ..client.address import Address

            address = Address.parse(url)
            url = address.shown if "password" in address.options else url
        values = {"-u": url, "--data-dir": self.data_dir, "--config": self.config}
        values |= {
            "--password-file": self.password_file,
            "--node-map": self.node_map,
            "--read-from": self.read_from,
        }
        return "".join(f" {name} {quote(str(value))}" for name, value in values.items() if value is not None)


def _is_group(annotation: Any) -> bool:
    return is_dataclass(annotation)


def with_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer needs it: a parameter that is a dataclass becomes the options that are its fields."""
    signature = inspect.signature(command, eval_str=True)
    groups = {
        parameter.name: parameter.annotation
        for parameter in signature.parameters.values()
        if _is_group(parameter.annotation)
    }
    options = {name: inspect.signature(group, eval_str=True).parameters for name, group in groups.items()}
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name in options:
            parameters += options[parameter.name].values()
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @wraps(command)
    def with_options(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{option: values.pop(option) for option in options[name]})
        command(**values)

    with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # PEP 362
    return with_options
