"""The arguments of public functions, checked by their annotations before anything is done.

The command line checks the types of its options; Python passes any object. `checked` knows
numbers, switches, text, paths, words of a Literal, tuples of a fixed length, and classes; bounds
are those of `msgspec.Meta` in an Annotated. Other annotations it does not check, above all those
of arrays: that is left to the function.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache, wraps
from numbers import Complex, Integral, Real
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    ParamSpec,
    TypeGuard,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from .errors import InvalidInput
from .wording import quoted

if TYPE_CHECKING:
    from msgspec import Meta

P = ParamSpec("P")
R = TypeVar("R")

_NUMBER_TYPES: Final[dict[type, tuple[type, str]]] = {
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    complex: (Complex, "a complex number"),
}
"""Type → the abstract type that is accepted, and its noun. NumPy's scalars are registered with these."""

_CLASS_NOUNS: Final = {
    "bool": "True or False",
    "str": "text",
    "Callable": "a function",
    "PathLike": "a path",
    "Source": "a source (see qwf_async.sources)",
    "ndarray": "an array",
}
"""Name of a class → its noun in messages; other classes go by their names."""

_LIMIT_WORDS: Final = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with its arguments checked by its annotations when it is called.

    The call, not an await, raises InvalidInput with the values that are accepted.
    """

    @cache
    def expected() -> tuple[inspect.Signature, dict[str, Any]]:
        return inspect.signature(function), get_type_hints(function, include_extras=True)

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        signature, kinds = expected()
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            _check(function.__qualname__, name, kinds.get(name, Any), value)
        return function(*args, **kwargs)

    return wrapper


def check_fields(record: Any) -> None:
    """Check the fields of a dataclass by their annotations, from its `__post_init__`. Raises InvalidInput."""
    owner: Any = type(record)
    for name, kind in _fields(owner).items():
        _check(owner.__name__, name, kind, getattr(record, name))


@cache
def _fields(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _check(owner: str, name: str, kind: Any, value: Any) -> None:
    if not _accepts(kind, value):
        raise InvalidInput(f"{owner}: {name} must be {_words(kind)}, not {_shown(value)}")


def _accepts(kind: Any, value: Any) -> bool:
    """Whether a value is of a type (`kind` is an annotation) and within its bounds."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _accepts(inner[0], value) and all(
            _within(meta, value) for meta in inner[1:] if _is_bound(meta)
        )
    if origin in (Union, UnionType):
        return any(_accepts(option, value) for option in inner)
    if origin is Literal:
        return any(isinstance(value, type(word)) and value == word for word in inner)
    if origin is tuple and inner and inner[-1] is not ...:
        return (
            isinstance(value, tuple | list) and len(value) == len(inner) and all(map(_accepts, inner, value))
        )
    if kind is Any:
        return True
    if kind in (None, NoneType):
        return value is None
    if kind in _NUMBER_TYPES:
        return isinstance(value, _NUMBER_TYPES[kind][0]) and not isinstance(value, bool)
    if getattr(origin, "__name__", "") == "ndarray":
        return hasattr(value, "shape") and hasattr(value, "dtype")
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return isinstance(value, Iterable) and not isinstance(value, str | bytes) and _all(inner, value)
    plain = kind if origin is None else origin
    if not isinstance(plain, type) or _is_open(plain):
        return True
    return isinstance(value, plain)


def _all(inner: tuple[Any, ...], value: Any) -> bool:
    """Whether the items are of the type `inner`; an iterator is not looked into, for it can be read once only."""
    if isinstance(value, Mapping):
        return all(_accepts(inner[-1], item) for item in value.values())
    return not isinstance(value, Collection) or not inner or all(_accepts(inner[0], item) for item in value)


def _is_open(kind: type) -> bool:
    """Whether `isinstance` cannot tell the instances of a class."""
    return (
        is_typeddict(kind)
        or (getattr(kind, "_is_protocol", False) and not getattr(kind, "_is_runtime_protocol", False))
        or kind.__module__.partition(".")[0] == "numpy"
    )


def _is_bound(annotation: Any) -> TypeGuard[Meta]:
    """Whether it is a `Meta`; without importing msgspec, which physics does not need."""
    return hasattr(annotation, "ge") and hasattr(annotation, "pattern")


def _within(meta: Meta, value: Any) -> bool:
    """Whether a value is within the bounds of `meta`; None is."""
    if value is None:
        return True
    if isinstance(value, Real):
        value = float(value)
        return (
            (meta.ge is None or value >= meta.ge)
            and (meta.gt is None or value > meta.gt)
            and (meta.le is None or value <= meta.le)
            and (meta.lt is None or value < meta.lt)
        )
    if isinstance(value, str):
        return len(value) >= (meta.min_length or 0) and (
            meta.pattern is None or bool(re.search(meta.pattern, value))
        )
    return True


def _words(kind: Any) -> str:
    """The values that a type accepts, in words, as in 'a whole number, at least 1'."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        bounds = [
            f"{words} {getattr(meta, limit):g}"
            for meta in inner[1:]
            if _is_bound(meta)
            for limit, words in _LIMIT_WORDS.items()
            if getattr(meta, limit) is not None
        ]
        accepts = [meta.accepts for meta in inner[1:] if hasattr(meta, "accepts")]
        return " ".join(accepts) or ", ".join([_words(inner[0]), *bounds])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(_words, inner)))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is tuple and inner and inner[-1] is not ...:
        return f"{len(inner)} of {_words(inner[0])}"
    if kind in (None, NoneType):
        return "None"
    if kind in _NUMBER_TYPES:
        return _NUMBER_TYPES[kind][1]
    name = getattr(origin or kind, "__name__", str(kind))
    if isinstance(origin, type) and issubclass(origin, Iterable) and name not in _CLASS_NOUNS:
        item = inner[-1] if issubclass(origin, Mapping) else inner[0] if inner else Any
        return "several values" if item is Any else f"several, each {_words(item)}"
    return _CLASS_NOUNS.get(name, f"a {name}")


def _shown(value: Any) -> str:
    """A short value itself, and of any other its class."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int | float | complex | tuple | list | dict | NoneType) and len(repr(value)) < 60:
        return repr(value)
    return f"what is of type {type(value).__name__}"
