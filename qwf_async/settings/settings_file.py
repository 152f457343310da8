"""A settings file: TOML, or JSON that may name the server as redis-py does."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..errors import UsageError
from ..host.small_files import read_small_file
from .fields import KINDS
from .redis_config import MEANINGLESS, OLDER, Warn, plain_json, take_older
from .values import checked_value, shown

Layer = dict[str, tuple[Any, str]]
"""Name of a setting → its value, checked, and where it came from."""


def read_settings_file(path: Path, warn: Warn) -> Layer:
    """The settings in a TOML or JSON file, checked. Raises UsageError; arguments as for `trace`."""
    origin = f"file {path}"
    older = path.suffix.lower() == ".json"
    entries = _entries(_document(path, older=older), origin, older=older)
    for name in entries:
        if name == "password" and not older:
            raise UsageError(
                f"password ({origin}) must not stand here: name a file that holds it by password_file"
            )
        if name not in KINDS and not (older and name in OLDER):
            raise UsageError(f"unknown key {shown('', name)} ({origin}): the nearest is {nearest(name)!r}")
    entries = {name: value for name, value in entries.items() if value is not None}
    if older:
        take_older(entries, origin, warn)
    layer: Layer = {}
    for name, entry in entries.items():
        value = checked_value(name, entry, origin, kind=KINDS[name], text=False)
        layer[name] = (path.parent / value if isinstance(value, Path) else value, origin)
    return layer


def usual_file(environ: Mapping[str, str]) -> Path | None:
    """The file that `$QWF_CONFIG` names, else the one in the user's configuration directory; None if there is none."""
    if environ.get("QWF_CONFIG"):
        return Path(environ["QWF_CONFIG"])
    import platformdirs

    folder = platformdirs.user_config_path("qwf_async")
    # Not Path.is_file, which raises where the directory may not be entered.
    present = [folder / name for name in ("config.toml", "config.json") if os.path.isfile(folder / name)]
    return present[0] if present else None


def _document(path: Path, *, older: bool) -> object:
    """What the file holds: TOML, or JSON if it may have `older` keys. Raises UsageError."""
    try:
        # With or without a byte order mark: editors on Windows write one.
        text = read_small_file(path).decode("utf-8-sig")
        if older:
            return msgspec.json.decode(plain_json(text))
        import tomllib

        return tomllib.loads(text)
    except (OSError, ValueError, msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"settings file {str(path)!r} cannot be used: {reason(error)}") from error


def _entries(document: object, origin: str, *, older: bool) -> dict[str, Any]:
    """The keys at top level and those in the one table or object, together."""
    if not isinstance(document, dict):
        raise UsageError(f"the settings ({origin}) must be one JSON object, not a {type(document).__name__}")
    tables = [
        name
        for name, value in document.items()
        if isinstance(value, dict)
        and (name == "qwf" or (older and name not in KINDS and name not in MEANINGLESS))
    ]
    if len(tables) > 1:
        raise UsageError(f"the settings ({origin}) are in {len(tables)} objects: put them into one")
    entries = {name: value for name, value in document.items() if name not in tables}
    for name in tables:
        if twice := entries.keys() & document[name].keys():
            raise UsageError(
                f"key {shown('', min(twice))} ({origin}) is given twice: at top level and within"
            )
        entries |= document[name]
    return entries


def nearest(name: str) -> str:
    """The name of a setting that is most like this one."""
    return max(KINDS, key=lambda known: difflib.SequenceMatcher(None, name, known).ratio())


def reason(error: BaseException) -> str:
    """Why a file cannot be read, without its path."""
    # strerror alone, because str(error) repeats the path, and not in the same form.
    return str((isinstance(error, OSError) and error.strerror) or error)
