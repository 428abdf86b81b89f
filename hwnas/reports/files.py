"""Figures as files beside a page: SVG for the web and for editing, PNG for slides."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG

from hwnas.reports.drawing import Drawing
from hwnas.reports.svg import PAPER, house_style, paper_colors
from latency_tables import write_atomically

_DPI = 200  # of the PNG files


def write_figures(drawings: Iterable[Drawing], folder: Path) -> list[Path]:
    """Writes figures in the light colours of the page, each as ``NAME.svg`` and ``NAME.png``.

    Equal figures give equal SVG files.

    Args:
        drawings: The figures.
        folder: Where; made if it is missing.

    Returns:
        The files, by name.

    Raises:
        OSError: They cannot be written.
    """
    files = []
    for drawing in drawings:
        with house_style(), paper_colors():
            figure = drawing.figure()
            figure.patch.set_visible(True)
            figure.patch.set_facecolor(PAPER["paper"])
            text, image = io.StringIO(), io.BytesIO()
            FigureCanvasSVG(figure)
            about = {"Date": None, "Creator": "hwnas", "Title": drawing.label}
            figure.savefig(text, format="svg", metadata=about)
            FigureCanvasAgg(figure)
            figure.savefig(image, format="png", dpi=_DPI, metadata={"Software": None, "Description": drawing.label})
        files.append(write_atomically(folder / f"{drawing.name}.svg", text.getvalue()))
        files.append(folder / f"{drawing.name}.png")
        files[-1].write_bytes(image.getvalue())
    return sorted(files)
