"""The part of a source after the question mark: ``photos?size=96``, ``hf:cifar100?image=img,label=fine_label``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from hwnas.core import UsageError, unknown

LARGEST_SIDE = 1024  # pixels that can be asked for


def split_options(source: str) -> tuple[str, dict[str, str]]:
    """A source's place, and its options by name.

    Args:
        source: ``PLACE``, or ``PLACE?name=value,name=value``; ``&`` separates as well as a comma does.

    Raises:
        UsageError: An option has no value, or stands there twice.
    """
    place, mark, text = source.rpartition("?")
    if not mark:
        return source, {}
    options: dict[str, str] = {}
    for entry in filter(None, re.split("[,&]", text)):
        name, equals, value = entry.partition("=")
        if not name or not equals or name in options:
            raise UsageError(
                f"data {source}: expected options as in PLACE?size=96,label=breed, each once, received {entry!r}"
            )
        options[name] = value
    return place, options


def require_known(source: str, options: Mapping[str, str], known: Collection[str]) -> None:
    """Refuses options that a source does not know.

    Raises:
        UsageError: Names the first of them, and the known ones.
    """
    place = source.rpartition("?")[0]
    for name in options:
        if not known:
            raise UsageError(f"data {source}: {place} takes no options, received {name!r}")
        if name not in known:
            raise unknown(f"option of data {place}:", name, known)


def side_of(source: str, options: Mapping[str, str]) -> int | None:
    """The option ``size``: height and width in pixels that all images are brought to; ``None`` where it is not given.

    Raises:
        UsageError: It is no whole number from 4 to 1024.
    """
    text = options.get("size")
    if text is None:
        return None
    if not text.isdecimal() or not 4 <= int(text) <= LARGEST_SIDE:
        raise UsageError(f"data {source}: expected size=PIXELS, 4 to {LARGEST_SIDE}, received {text!r}")
    return int(text)


def path_of(text: str) -> Path:
    """A path as it was typed, with the home folder for ``~``, which a shell leaves alone inside a word."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # nobody's home
        return Path(text)


def may_download(source: str, options: Mapping[str, str]) -> bool:
    """The option ``download``: whether the network may be used.

    Raises:
        UsageError: It is neither ``yes`` nor ``no``.
    """
    text = options.get("download", "no")
    if text not in {"yes", "no"}:
        raise UsageError(f"data {source}: expected download=yes or download=no, received {text!r}")
    return text == "yes"
