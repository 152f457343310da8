"""A matplotlib Figure that a notebook shows, whether or not its user has imported matplotlib.pyplot."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from matplotlib.figure import Figure

NOTEBOOK_DPI: Final = 90


class ShownFigure(Figure):
    """pyplot does not know it, so that it is shown once: as what a cell returns, and not at the cell's end too."""

    def _repr_png_(self) -> bytes:
        """The figure as IPython asks for it, unless pyplot has told IPython how figures are shown."""
        png = BytesIO()
        self.savefig(png, format="png", dpi=NOTEBOOK_DPI)
        return png.getvalue()
