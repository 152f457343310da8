"""A stored wavefunction as a Zarr store, for zarr, xarray and dask. Needs the extra `zarr`."""

from __future__ import annotations

from .adapter import ZarrStore, open_store

__all__ = ["ZarrStore", "open_store"]
