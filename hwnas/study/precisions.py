"""The precision as a choice of the search: what it asks of the other settings."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.conversion import PRECISIONS, onnxruntime
from hwnas.core import UsageError, unknown
from hwnas.evaluators import EVALUATORS

FLOAT = "fp32"  # what networks are trained in


def require_precisions(precisions: Sequence[str], *, evaluator: str, halving: float | None) -> tuple[str, ...]:
    """Checks that networks can be searched in some precisions, before anything is paid for.

    Args:
        precisions: Names, in any order.
        evaluator: What finds the accuracies.
        halving: Eta of the rule that stops trainings early; ``None`` for none.

    Returns:
        The names, each once, in the order of ``hwnas.conversion.PRECISIONS``.

    Raises:
        UsageError: No such precision, none at all, or the evaluator or the halving knows networks in fp32 alone.
        MachineError: ONNX Runtime, by which accuracies of converted networks are found, is not installed.
    """
    for name in precisions or ("",):
        if name not in PRECISIONS:
            raise unknown("precision", name, PRECISIONS)
    found = tuple(name for name in PRECISIONS if name in precisions)
    if found == (FLOAT,):
        return found
    asked = ",".join(found)
    if evaluator in EVALUATORS and evaluator != "trained":
        raise UsageError(
            f"the evaluator {evaluator} tells the accuracy of networks in fp32 alone, not in {asked}: leave "
            "--precision out and export winners with `hwnas export --precision`, or choose --evaluator trained or a "
            "function of your own"
        )
    if halving is not None:
        raise UsageError(
            f"halving compares trainings at their rungs in fp32, and a search of {asked} goes by the accuracy after a "
            "conversion: leave --halving out, or --precision"
        )
    onnxruntime()
    return found
