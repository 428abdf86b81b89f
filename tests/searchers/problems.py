"""Search problems with known answers, as the shipped conformance suite uses them."""

from hwnas.testing import ACCURACY, COST, accuracy_of, evaluated, made_up_problem, size_cost

__all__ = ["ACCURACY", "COST", "accuracy_of", "evaluated", "made_up_problem", "size_cost"]
