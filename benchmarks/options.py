"""The options of the benchmarks that run on both servers, and how their figures are kept."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from .report import environment
from .servers import Kind


def options(
    name: str,
    description: str | None,
    arguments: Sequence[str],
    *,
    points: int,
    rounds: int,
    parts: Sequence[str] = (),
) -> argparse.Namespace:
    """What the command line says, with these defaults; `kinds` are the servers, and `parts` those that were chosen."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=description)
    parser.add_argument("--points", type=_count, default=points, help=f"about; {points:.3g} by default")
    parser.add_argument("--rounds", type=_count, default=rounds, help=f"{rounds} by default")
    parser.add_argument("--server", choices=get_args(Kind), help="both by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them there (png, svg, pdf)")
    if parts:
        parser.add_argument("--part", choices=parts, help="all of them by default")
    found = parser.parse_args(arguments)
    found.parts = [found.part] if parts and found.part else parts
    found.kinds = [found.server] if found.server else get_args(Kind)
    return found


def keep(found: argparse.Namespace, name: str, servers: Mapping[str, Any]) -> None:
    """Write what was found on each server, with how and where, to the file that was asked for, if one was."""
    if found.json:
        how = {"benchmark": name, "points": found.points, "rounds": found.rounds}
        kept = {**how, "environment": environment(), "servers": servers}
        found.json.write_text(json.dumps(kept, indent=1) + "\n")


def _count(text: str) -> int:
    """A number of 1 or more, as `2000000` or as `2e6`."""
    number = int(float(text))
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number
