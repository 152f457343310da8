"""Arrays of dask and a store: `store` writes one by its tasks, `from_store` makes one of what is stored."""

from .reading import from_store
from .storing import store

__all__ = ["from_store", "store"]
