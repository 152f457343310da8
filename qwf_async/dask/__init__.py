"""Arrays of dask and xarray, and a store.

`store` writes one by dask's tasks; `from_store` and `to_xarray` make one of what is stored.
"""

from .data_array import to_xarray
from .reading import from_store
from .storing import store

__all__ = ["from_store", "store", "to_xarray"]
