"""Plain values of the command line, without pydantic: to import it, and to describe each option to it, takes 0.1 s.

typer gives each value to pydantic. A value that can have one meaning only is converted here, and
everything else is left to typer, with its messages: what is not plain, and what has a bound, a choice
or a check of a file.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final, get_args, get_origin

_WHOLE: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?")

NOT_PLAIN: Final = object()
"""What `plain_value` gives for a value that is left to typer."""


def plain_value(value: Any, kind: Any) -> Any:
    """The text of an argument, or a default, as a value of the type `kind`; NOT_PLAIN if that is not certain.

    A path is plain if there is nothing, or what is there may be read: else typer refuses it.
    """
    if get_origin(kind) is list and isinstance(value, list | tuple):
        items = [plain_value(item, *get_args(kind)) for item in value]
        return NOT_PLAIN if NOT_PLAIN in items else items
    if kind in (str, bool) and type(value) is kind:
        return value
    if kind is int and (type(value) is int or (type(value) is str and _WHOLE.fullmatch(value))):
        return int(value)
    if kind is float and (type(value) is float or (type(value) is str and _DECIMAL.fullmatch(value))):
        return float(value)
    if kind is Path and type(value) is str and "\0" not in value:
        path = Path(value)
        return path if os.access(path, os.R_OK) or not os.path.exists(path) else NOT_PLAIN
    return NOT_PLAIN


def coerce_quickly(command: Any) -> None:
    """Let the parameters of a command of typer convert what is plain by `plain_value`, that of --help too.

    `_runtime_param` is a private name of typer 0.29. A version without it converts all by itself.
    """
    parameters_of = command.get_params

    def get_params(context: Any) -> list[Any]:
        parameters: list[Any] = parameters_of(context)
        for parameter in parameters:
            if getattr(parameter, "_runtime_param", NOT_PLAIN) is None and takes_any_value(parameter):
                parameter._runtime_param = _Quick()
        return parameters

    command.get_params = get_params


def takes_any_value(parameter: Any) -> bool:
    """Whether a parameter of typer takes each value of its type."""
    info = parameter.type_descriptor.parameter_info
    checks = (info.exists, info.writable, info.resolve_path, info.allow_dash, info.path_type)
    return (
        not any(checks) and info.file_okay and info.dir_okay and info.parser is info.min is info.max is None
    )


class _Quick:
    """In the place of what typer makes of the type of a parameter: that is made only for what is not plain."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        plain = plain_value(value, param.type_descriptor.annotation)
        if plain is not NOT_PLAIN:
            return plain
        from typer._coercion import build_runtime_param

        return build_runtime_param(param.type_descriptor).coerce(value, param=param, ctx=ctx)
