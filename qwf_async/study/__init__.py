"""Studies of Optuna on Redis or Valkey, which go on while their server is away.

The public names are imported when they are first used: `import qwf_async.study` needs no Optuna.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .needed_optuna import check_optuna

if TYPE_CHECKING:
    from .enhanced import (
        create_enhanced_study,
        get_enhanced_storage,
        get_storage_status,
        load_enhanced_study,
    )
    from .exchange import export_studies, import_studies
    from .migration import migrate
    from .opening import NoSuchStudy
    from .storage import StudyStorage

_HOMES: Final[dict[str, tuple[str, ...]]] = {
    "enhanced": (
        "create_enhanced_study",
        "get_enhanced_storage",
        "get_storage_status",
        "load_enhanced_study",
    ),
    "exchange": ("export_studies", "import_studies"),
    "migration": ("migrate",),
    "opening": ("NoSuchStudy",),
    "storage": ("StudyStorage",),
}
"""File of this room → the public names in it."""

__all__ = [
    "NoSuchStudy",
    "StudyStorage",
    "create_enhanced_study",
    "export_studies",
    "get_enhanced_storage",
    "get_storage_status",
    "import_studies",
    "load_enhanced_study",
    "migrate",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            check_optuna()
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
