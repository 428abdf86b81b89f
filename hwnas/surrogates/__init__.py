"""What is believed of architectures after some were evaluated: Gaussian processes on choices, features and exact costs.

Whoever searches with it adds what a candidate is worth; whoever predicts adds nothing.
"""

from hwnas.surrogates.description import Description, described
from hwnas.surrogates.kernels import Kernel, LinearPart, Matrix, Part, RadialPart
from hwnas.surrogates.process import LEAST_VARIANCE, GaussianProcess, Hyperparameters
from hwnas.surrogates.surrogate import (
    MOST_LEARNED,
    MOST_TUNED,
    Learned,
    informative,
    learn,
    posterior,
    tuning_size,
)
from hwnas.surrogates.warping import Warp

__all__ = [
    "LEAST_VARIANCE",
    "MOST_LEARNED",
    "MOST_TUNED",
    "Description",
    "GaussianProcess",
    "Hyperparameters",
    "Kernel",
    "Learned",
    "LinearPart",
    "Matrix",
    "Part",
    "RadialPart",
    "Warp",
    "described",
    "informative",
    "learn",
    "posterior",
    "tuning_size",
]
