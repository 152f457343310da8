"""How a grid lies in hashes: `base` has the promise, each layout is a file, `form` has the list of them."""

from .base import Layout, Place
from .form import LAYOUTS, Form, Slab

__all__ = ["LAYOUTS", "Form", "Layout", "Place", "Slab"]
