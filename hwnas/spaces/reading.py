"""Architectures as people write them."""

from __future__ import annotations

import json

import numpy as np

from hwnas.core import Architecture, UsageError
from hwnas.spaces.nasbench201 import from_string
from hwnas.spaces.space import SearchSpace


def read_architecture(space: SearchSpace, text: str) -> Architecture:
    """An architecture from text.

    Args:
        space: Which space it is of.
        text: A JSON object with the value of every active choice, or for ``nasbench201`` the string of the benchmark's
            tables.

    Raises:
        UsageError: The text is neither, or the space has no such architecture.
    """
    if space.name == "nasbench201" and not text.lstrip().startswith("{"):
        return from_string(text.strip())
    try:
        values = json.loads(text)
    except ValueError as error:
        raise UsageError(
            f"cannot read an architecture of {space.name} from {text!r}: {error}. {_form(space)}"
        ) from error
    scalars = isinstance(values, dict) and all(isinstance(v, bool | int | float | str) for v in values.values())
    if not scalars:
        raise UsageError(f"cannot read an architecture of {space.name} from {text!r}. {_form(space)}")
    return space.architecture(values)


def _form(space: SearchSpace) -> str:
    first = next(space.enumerate()) if space.is_enumerable else space.sample(np.random.default_rng(0))
    example = json.dumps(dict(first))
    return f"Expected a JSON object with a value for every active choice, such as {example}"
