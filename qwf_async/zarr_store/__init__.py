"""A stored wavefunction as a Zarr store, for zarr, xarray and dask. Needs the extra `zarr`.

The hierarchy alone does not: zarr is imported with the first of the public names that is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapter import ZarrStore, open_store

__all__ = ["ZarrStore", "open_store"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import adapter

        return getattr(adapter, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
