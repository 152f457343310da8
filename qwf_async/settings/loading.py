"""The settings put together from defaults < file < environment < flags.

Each value is checked where it enters, so that an error can say whether a file, a variable or
a flag is to be mended. Whether the URL parses and whether a server answers there is checked
where it is used: this module must stay cheap to import.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

from ..errors import UsageError
from ..host.small_files import read_small_file
from ..wording import option, phrase
from .fields import KINDS, Settings, check_watermarks
from .redis_config import Warn
from .settings_file import Layer, nearest, read_settings_file, reason, usual_file
from .values import checked_value


def load(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    warn: Warn = warnings.warn,
    **flags: object,
) -> Settings:
    """The settings by defaults < file < environment < flags. Arguments and errors as for `trace`."""
    settings, _ = trace(file, environ=environ, warn=warn, **flags)
    return settings


def trace(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    warn: Warn = warnings.warn,
    **flags: object,
) -> tuple[Settings, dict[str, str]]:
    """The settings, and for each field where it came from.

    That is 'default', 'file PATH', 'environment QWF_X', 'flag --x' or, in Python, 'argument x'.

    The file is `file`, else `$QWF_CONFIG`, else `config.toml` or `config.json` in the user's
    configuration directory, if there is one. TOML has its keys at top level or in a table
    `[qwf]`. A file named `*.json` has them at top level or in one object of any name, and it may
    have comments. It may also name the server by the older keys host, port, db, username,
    password and ssl. `warn` is told in one line which of redis-py's other keys are ignored.
    Relative paths in a file start from its directory. A null counts as not given.

    The environment (`environ`, else that of the process) has QWF_ and the field's name in
    capitals; the URL also as REDIS_URL. An empty variable counts as not set.

    `flags` are fields by name; None counts as not given. The password is no flag: it comes
    from QWF_PASSWORD or from what `password_file` names, whichever ranks higher.

    Raises UsageError if the file, the password file or any value, even one that is overridden,
    cannot be used; its one line never holds a password.
    """
    environment = os.environ if environ is None else environ
    defaults = Settings()
    merged: Layer = {name: (getattr(defaults, name), "default") for name in KINDS}
    path = file or usual_file(environment)
    from_file = {} if path is None else read_settings_file(path, warn)
    for layer in (from_file, _from_environment(environment), _from_flags(flags)):
        if "password_file" in layer:
            merged["password"] = (None, "default")
        merged |= layer
    password_file, origin = merged["password_file"]
    if password_file is not None and merged["password"][0] is None:
        merged["password"] = _read_password(password_file, origin)
    origins = {name: origin for name, (_, origin) in merged.items()}
    values = {name: value for name, (value, _) in merged.items()}
    check_watermarks(values["low_watermark"], values["high_watermark"], origins)
    return Settings(**values), origins


def _from_environment(environ: Mapping[str, str]) -> Layer:
    """The settings that are environment variables. Raises UsageError."""
    layer: Layer = {}
    for name, kind in KINDS.items():
        variables = (f"QWF_{name.upper()}", *(["REDIS_URL"] if name == "url" else []))
        for variable in variables:
            if environ.get(variable):
                origin = f"environment {variable}"
                layer[name] = (checked_value(name, environ[variable], origin, kind=kind, text=True), origin)
                break
    return layer


def _from_flags(flags: Mapping[str, object]) -> Layer:
    """The settings that are flags of the command line, or arguments. Raises UsageError."""
    layer: Layer = {}
    for name, flag in flags.items():
        if flag is None:
            continue
        origin = phrase(command_line=f"flag {option(name)}", python=f"argument {name}")
        if name == "password":
            raise UsageError(
                f"{origin} is not taken: set QWF_PASSWORD, or name a file by {option('password_file')}"
            )
        if name not in KINDS:
            raise UsageError(f"unknown {origin}: the nearest is {option(nearest(name))}")
        layer[name] = (checked_value(name, flag, origin, kind=KINDS[name], text=True), origin)
    return layer


def _read_password(path: Path, origin: str) -> tuple[str, str]:
    """The password in a file, and where it came from. Raises UsageError."""
    try:
        password = read_small_file(path).decode("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"password_file {str(path)!r} ({origin}) must be readable text: {reason(error)}"
        ) from error
    if not password:
        raise UsageError(f"password_file {str(path)!r} ({origin}) must hold a password: it is empty")
    return password, f"file {path}"
