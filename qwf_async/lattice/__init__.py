"""Grids, chunk plans, selections and units: numbers only."""
