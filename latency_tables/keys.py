"""Reading the keys of kernels and blocks: what they say of shapes, types and attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

KERNEL = re.compile(r"(?P<op>[\w.]+)\((?P<read>.*)\)->(?P<written>[^{]*)(?P<attributes>\{.*\})?", re.DOTALL)
TENSOR = re.compile(r"(?P<element>\w+)\[(?P<shape>[0-9]+(x[0-9]+)*)?\]")
_BLOCK = re.compile(r"(?P<kind>\w+)\((?P<parameters>[^()]*)\)(?P<place>@.*)?", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_NUMBERS = re.compile(r"[0-9]+(x[0-9]+)*")


@dataclass(frozen=True)
class Tensor:
    """Element type and shape; no axes where an input is left out or has no known type."""

    element: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class KernelKey:
    """A kernel's key, read.

    Attributes:
        op: Operator with its domain.
        read: Tensors read, in order.
        written: Tensors written.
        attributes: By name, as text.
    """

    op: str
    read: tuple[Tensor, ...]
    written: tuple[Tensor, ...]
    attributes: Mapping[str, str]


def tensor(text: str) -> Tensor:
    """A tensor as keys write it, such as ``"float[1x64x28x28]"``."""
    found = TENSOR.fullmatch(text)
    if found is None:
        return Tensor("", ())
    return Tensor(found["element"], tuple(int(size) for size in (found["shape"] or "").split("x") if size))


def read_kernel(key: str) -> KernelKey | None:
    """Reads the key of a kernel; ``None`` when it is of another form, as those of backends that time blocks are."""
    found = KERNEL.fullmatch(key)
    if found is None:
        return None
    pairs = (entry.partition("=") for entry in (found["attributes"] or "{}")[1:-1].split(","))
    return KernelKey(
        op=found["op"],
        read=tuple(tensor(text) for text in found["read"].split(",")),
        written=tuple(tensor(text) for text in found["written"].split(",")),
        attributes={name: value for name, sign, value in pairs if sign},
    )


def read_block(key: str) -> tuple[str, dict[str, float]] | None:
    """Reads the key of a block, such as ``"mb(in=16,out=24,k=3,act=relu)@b8"``.

    Returns:
        What it is, its words and its place among batches and precisions included (``"mb act=relu @b8"``), and its
        numbers by name; ``None`` when the key is of another form.
    """
    found = _BLOCK.fullmatch(key)
    if found is None:
        return None
    kind, numbers = [found["kind"]], {}
    for entry in found["parameters"].split(","):
        name, sign, value = entry.partition("=")
        if sign and _NUMBER.fullmatch(value):
            numbers[name] = float(value)
        else:
            kind.append(entry)
    return " ".join([*kind, found["place"] or ""]).strip(), numbers


def attribute_numbers(text: str) -> tuple[int, ...]:
    """An attribute of whole numbers, such as ``"3x3"``; empty when it is none."""
    return tuple(int(number) for number in text.split("x")) if _NUMBERS.fullmatch(text) else ()
