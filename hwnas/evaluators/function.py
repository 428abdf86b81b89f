"""The user's own evaluation: a Python function."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

from hwnas.core import Architecture, HwnasError, UsageError
from hwnas.evaluators.trained import training_seed
from hwnas.networks import NetworkFamily
from hwnas.spaces import without_precision

_OFFERED = ("module", "seed")


class FunctionError(HwnasError, RuntimeError):
    """The user's function failed on an architecture, or returned what is no value."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FunctionEvaluator:
    """Calls a function for each architecture.

    It is called with the architecture as a plain dictionary, and by keyword with what else its signature names:
    ``seed``, a whole number that belongs to run and network, and ``module``, the freshly initialised torch module. It
    returns the accuracy, 0 to 1, or a mapping of names to numbers that has one under ``"accuracy"``. It has to return
    the same for the same architecture. Where precisions are searched, it is to tell the accuracy in that of the
    architecture's ``"precision"``; the seed of a network is the same in all of them.

    Attributes:
        function: ``"package.module:function"`` or ``"path/to/file.py:function"``.
        family: Builds the module.
        seed: Of the run.

    Raises:
        UsageError: There is no such function, or it takes other arguments.
    """

    function: str
    family: NetworkFamily
    seed: int

    def __post_init__(self) -> None:
        _ = self._called  # what can never be called is refused before the first trial

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """What the function returned, as numbers by name.

        Raises:
            FunctionError: It raised something, or returned no number, NaN, infinity, or no accuracy between 0 and 1.
        """
        function, wanted = self._called
        seed = training_seed(self.seed, without_precision(architecture))
        offered: Mapping[str, Callable[[], object]] = {
            "seed": lambda: seed,
            "module": lambda: self.family.module(architecture, seed=seed),
        }
        about = f"{self.function}, called for architecture {architecture.id},"
        try:
            returned = function(dict(architecture), **{name: offered[name]() for name in wanted})
        except (Exception, SystemExit) as error:  # whatever the user's code raises, or that it means to end us
            raise FunctionError(f"{about} raised {type(error).__name__}: {error}") from error
        return _values(returned, about=about)

    def __getstate__(self) -> dict[str, object]:
        """Without the function itself, which another process has to import on its own."""
        return {name: value for name, value in vars(self).items() if name != "_called"}

    @cached_property
    def _called(self) -> tuple[Callable[..., Any], tuple[str, ...]]:
        """The function, and which of the offered arguments it wants."""
        function = _resolve(self.function)
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):  # some built-in functions tell nothing
            return function, ()
        required = [
            name
            for name, one in parameters.items()
            if one.default is one.empty and one.kind not in {one.VAR_POSITIONAL, one.VAR_KEYWORD}
        ]
        everything = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
        wanted = tuple(name for name in _OFFERED if everything or name in list(parameters)[1:])
        if not parameters or set(required[1:]) - set(wanted):
            raise UsageError(
                f"{self.function} takes ({', '.join(parameters)}): expected (architecture), and if wanted seed and "
                "module"
            )
        return function, wanted


def _resolve(text: str) -> Callable[..., Any]:
    where, _, name = text.rpartition(":")
    if not where or not name:
        raise UsageError(f"expected a function as package.module:function or file.py:function, received {text!r}")
    try:
        module = _from_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except (Exception, SystemExit) as error:  # whatever the user's code does when it is imported
        raise UsageError(f"cannot import {where!r} of {text!r}: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        there = sorted(key for key, value in vars(module).items() if inspect.isfunction(value))
        raise UsageError(f"{where} has no function {name!r}: it has {', '.join(there) or 'none'}")
    found: Callable[..., Any] = function
    return found


def _from_file(path: Path) -> ModuleType:
    return _executed(path.resolve(), path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _executed(path: Path, changed_ns: int) -> ModuleType:
    """A file as a module: executed once, as imports are, and anew only once it has changed."""
    del changed_ns
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _values(returned: object, *, about: str) -> dict[str, float]:
    given = returned if isinstance(returned, Mapping) else {"accuracy": returned}
    values: dict[str, float] = {}
    for name, value in given.items():
        number = _number(value)
        if not isinstance(name, str) or number is None:
            raise FunctionError(
                f"{about} returned {value!r} as {name!r}: expected a number, or a mapping of names to numbers"
            )
        if not math.isfinite(number):
            raise FunctionError(f"{about} returned {number} as {name!r}: expected a finite number")
        values[name] = number
    if "accuracy" not in values:
        raise FunctionError(f"{about} returned {', '.join(values) or 'nothing'}: expected 'accuracy' among the names")
    if not 0 <= values["accuracy"] <= 1:
        raise FunctionError(f"{about} returned an accuracy of {values['accuracy']:g}: expected 0 to 1, not percent")
    return values


def _number(value: object) -> float | None:
    """A value as a float: plain numbers, and arrays and tensors of one element; ``None`` where it is no number."""
    if isinstance(value, bool | str | bytes) or value is None:
        return None
    if isinstance(value, Real):
        return float(value)
    item = getattr(value, "item", None)
    try:
        inner = item() if callable(item) else None
    except (ValueError, RuntimeError, TypeError):
        return None
    return float(inner) if isinstance(inner, Real) and not isinstance(inner, bool) else None
