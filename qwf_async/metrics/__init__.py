"""What happens, as metrics for Prometheus: counted from events, served at an address or written into a file."""

from .metrics import Metrics

__all__ = ["Metrics"]
