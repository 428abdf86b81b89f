"""Matplotlib figures as part of a page: no foreign names, colours that follow the page, words on what is pointed at.

Matplotlib knows neither CSS variables nor tooltips, so drawings are made in stand-in colours, which are replaced here,
and with an id on every artist that has something to tell.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
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
_STAND_INS: Mapping[str, str] = {name: stand_in for stand_in, name in _VARIABLES.items()}
PAPER: Mapping[str, str] = {  # the light colours of the page, for files that stand alone
    "ink": "#1b1a18",
    "muted": "#66625b",
    "line": "#e6e3dd",
    "paper": "#ffffff",
    "accent": "#2450c8",
    "pale": "#aca69b",
    "knee": "#c2410c",
    "fastest": "#0c7a6d",
    "best": "#7a35d6",
    "band": "#e3e7f4",
}
_used: ContextVar[Mapping[str, str]] = ContextVar("colors", default=_STAND_INS)


class _Colors(Mapping[str, str]):
    """Colours by the names of the page's variables: stand-ins, or real ones under ``paper_colors``."""

    def __getitem__(self, name: str) -> str:
        return _used.get()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_used.get())

    def __len__(self) -> int:
        return len(_used.get())


COLORS: Mapping[str, str] = _Colors()

# equal figures give equal text; text stays text, and a dollar in it a dollar
_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "hwnas",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "path.simplify": False,
}
_FONT = re.compile(r"font: (?:(\w+) )?([\d.]+)px [^;]*")
_UNTOLD = re.compile(r"[A-Za-z.]\w*(\.\w+)*_\d+")  # the ids matplotlib numbers artists by that have no gid
_FAMILY = re.compile(r" ?font-family: [^;]*;?")  # that of the page holds
_LEVEL = re.compile(r"rotate\(-?0 [^)]*\)")
_DIGITS = re.compile(r"(\.\d\d)\d+")  # hundredths of a point are more than anyone sees
_ID_USE = re.compile(r"url\(#([^)]+)\)")


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What a drawn thing tells.

    Attributes:
        title: Shown when it is pointed at; empty for nothing.
        kind: Its CSS classes.
        link: Id in the page where more is told of it; makes it a link, which the keyboard reaches. Empty for none.
    """

    title: str
    kind: str
    link: str = ""


@contextmanager
def house_style() -> Iterator[None]:
    """What figures are made and written under: nothing that a user's own settings of matplotlib could change."""
    with style.context(["default", _SETTINGS]):
        yield


@contextmanager
def paper_colors() -> Iterator[None]:
    """What figures are drawn under that are to stand alone, in a file."""
    before = _used.set(PAPER)
    try:
        yield
    finally:
        _used.reset(before)


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
    FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    root = ET.fromstring(stream.getvalue())  # noqa: S314  (matplotlib's own output, written a line above)
    _drop_foreign(root)
    _slim(root, kept=marks)
    for element in root.iter():
        mark = marks.get(element.get("id", ""))
        if mark is not None:
            element.set("class", mark.kind)
        if mark is not None and mark.title:
            title = ET.Element("title")
            title.text = mark.title
            element.insert(0, title)
        _adapt(element, name)
        if mark is not None and mark.link:
            element.tag = "a"
            element.set("href", f"#{mark.link}")
    for size in ("width", "height"):  # the page decides; the viewBox keeps the shape
        root.attrib.pop(size, None)
    # a picture hides what is in it from those who cannot see it: links must not be hidden
    root.set("role", "group" if any(mark.link for mark in marks.values()) else "img")
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


def _slim(root: ET.Element, *, kept: Mapping[str, Mark]) -> None:
    """Takes out what nobody sees or asks for: indentation, numbered ids, digits."""
    used = {
        match[1] for element in root.iter() for value in element.attrib.values() for match in _ID_USE.finditer(value)
    }
    for element in root.iter():
        if element.text is not None and not element.text.strip():
            element.text = None
        element.tail = None
        for child in [one for one in element if one.tag == "g" and not len(one) and one.get("id", "") not in kept]:
            element.remove(child)
        name = element.get("id", "")
        if name and name not in kept and name not in used and _UNTOLD.fullmatch(name):
            del element.attrib["id"]
        for attribute in ("d", "x", "y", "transform"):
            if attribute in element.attrib:
                element.set(attribute, _DIGITS.sub(r"\1", _LEVEL.sub("", element.attrib[attribute])).strip())
        if not element.get("transform", "none"):
            del element.attrib["transform"]
        if "style" in element.attrib:
            element.set("style", _FAMILY.sub("", element.attrib["style"]))


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
