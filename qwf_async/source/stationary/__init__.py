"""Stationary states: the lowest eigenstates of a potential, and the ground state with g|ψ|²."""

from __future__ import annotations

from .eigen import Eigen, eigen

__all__ = ["Eigen", "eigen"]
