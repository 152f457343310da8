"""All that a user can set: `Settings`, and `load`, which reads them from file, environment and flags."""

from __future__ import annotations

from .fields import Producers, Rate, Replicas, Settings, Writers
from .loading import load, trace

__all__ = ["Producers", "Rate", "Replicas", "Settings", "Writers", "load", "trace"]
