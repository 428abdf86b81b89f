"""From an architecture to the values that cost something."""

from hwnas.evaluators.trained import TrainedEvaluator, training_seed

__all__ = ["TrainedEvaluator", "training_seed"]
