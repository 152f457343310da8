"""Options that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        "-u",
        help="Server: redis://host:port, rediss://… (TLS) or unix:///path. "
        "Else $QWF_URL, else $REDIS_URL, else the embedded server.",
        show_default=False,
    ),
]
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
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file", help="File that holds the password. Else $QWF_PASSWORD.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no messages but errors.")]
