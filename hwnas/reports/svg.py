"""Matplotlib figures as part of a page: no foreign names, colours that follow the page, words on what is pointed at.

Matplotlib knows neither CSS variables nor tooltips, so drawings are made in stand-in colours, which are replaced here,
and with an id on every artist that has something to tell.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from matplotlib import style
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# stand-in -> variable of the page; never black, which matplotlib leaves out of its output
_VARIABLES = {
    "#010101": "ink",
    "#020202": "muted",
    "#030303": "line",
    "#040404": "paper",
    "#050505": "accent",
    "#060606": "pale",
    "#070707": "knee",
    "#080808": "fastest",
    "#090909": "best",
    "#0a0a0a": "band",
}
COLORS: Mapping[str, str] = {name: stand_in for stand_in, name in _VARIABLES.items()}

# equal figures give equal text; text stays text, and a dollar in it a dollar
_SETTINGS: dict[Any, Any] = {"svg.hashsalt": "hwnas", "svg.fonttype": "none", "text.parse_math": False}
_FONT = re.compile(r"font: (?:(\w+) )?([\d.]+)px [^;]*")
_ID_USE = re.compile(r"url\(#([^)]+)\)")


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What a drawn thing tells.

    Attributes:
        title: Shown when it is pointed at; empty for nothing.
        kind: Its CSS classes.
    """

    title: str
    kind: str


@contextmanager
def house_style() -> Iterator[None]:
    """What figures are made and written under: nothing that a user's own settings of matplotlib could change."""
    with style.context(["default", _SETTINGS]):
        yield


def inline_svg(figure: Figure, *, name: str, label: str, marks: Mapping[str, Mark]) -> str:
    """A figure as an ``svg`` element to be put into an HTML page.

    To be called under ``house_style``, like all drawing.

    Args:
        figure: Drawn in the stand-in ``COLORS``.
        name: Unique in the page; begins every id.
        label: What the figure shows, for those who cannot see it.
        marks: What artists tell, by their gid.
    """
    stream = io.StringIO()
    FigureCanvasSVG(figure)  # attaches itself to the figure
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    root = ET.fromstring(stream.getvalue())  # noqa: S314  (matplotlib's own output, written a line above)
    _drop_foreign(root)
    for element in root.iter():
        mark = marks.get(element.get("id", ""))
        if mark is not None:
            element.set("class", mark.kind)
        if mark is not None and mark.title:
            title = ET.Element("title")
            title.text = mark.title
            element.insert(0, title)
        _adapt(element, name)
    for size in ("width", "height"):  # the page decides; the viewBox keeps the shape
        root.attrib.pop(size, None)
    root.set("role", "img")
    root.set("aria-label", label)
    return ET.tostring(root, encoding="unicode")


def _drop_foreign(root: ET.Element) -> None:
    """Takes out metadata and the style sheet, which would hold for the whole page, and all namespaces."""
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in {"metadata", "style"}:
                parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        for attribute in list(element.attrib):
            if attribute != _local(attribute):
                element.set(_local(attribute), element.attrib.pop(attribute))


def _adapt(element: ET.Element, name: str) -> None:
    """Ids of its own, fonts and colours of the page."""
    if "id" in element.attrib:
        element.set("id", f"{name}-{element.get('id')}")
    for attribute, value in element.attrib.items():
        if attribute == "href" and value.startswith("#"):
            element.set(attribute, f"#{name}-{value[1:]}")
        elif attribute in {"style", "fill", "stroke", "clip-path"}:
            changed = _ID_USE.sub(rf"url(#{name}-\1)", value)
            changed = _FONT.sub(lambda found: f"font-size: {found[2]}px; font-weight: {found[1] or 'normal'}", changed)
            for stand_in, variable in _VARIABLES.items():
                changed = changed.replace(stand_in, f"var(--{variable})")
            element.set(attribute, changed)


def _local(name: str) -> str:
    return name.rpartition("}")[2]
