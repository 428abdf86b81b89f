"""Gaussian processes of the costs, one an objective, every objective a black box. Imports BoTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from botorch import fit_gpytorch_mll
from botorch.models import MixedSingleTaskGP, ModelListGP, SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_matern_kernel_with_gamma_prior
from botorch.utils.sampling import manual_seed
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.searchers.bayes.library import advice_ignored
from hwnas.spaces import Encoding, SearchSpace

Kernel = Literal["ordinal", "one-hot", "hamming"]


@dataclass(frozen=True)
class Inputs:
    """Architectures as the surrogates see them.

    Attributes:
        space: Of the architectures.
        kernel: ``"one-hot"`` gives a categorical choice an indicator for each option; the others one number.
    """

    space: SearchSpace
    kernel: Kernel

    def __call__(self, architectures: Sequence[Architecture]) -> torch.Tensor:
        """Shape ``(n, d)``, in [0, 1]."""
        codes = self._encoding.encode(architectures)
        if self.kernel == "one-hot":
            return torch.from_numpy(codes)
        numbers = np.empty((len(codes), len(self.space.choices)))
        for column, place in enumerate(self._encoding.columns.values()):
            block = codes[:, place]
            width = block.shape[1]
            weights = np.arange(1, width + 1) / width  # the code that an ordinal choice has
            numbers[:, column] = block @ weights
        return torch.from_numpy(numbers)

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self.space)

    @property
    def categorical(self) -> list[int]:
        """Columns in which only equal or not equal counts."""
        return [i for i, choice in enumerate(self.space.choices) if not choice.ordinal]


@dataclass(frozen=True)
class Surrogate:
    """What is believed of the costs.

    BoTorch maximises: ``gains`` are what the costs stay below the reference, each in units of its own spread, so that
    the reference is zero in all of them.

    Attributes:
        model: A Gaussian process for each objective.
        x: Of the trials, shape ``(n, d)``.
        gains: Of the trials, shape ``(n, m)``.
    """

    model: ModelListGP
    x: torch.Tensor
    gains: torch.Tensor

    @property
    def reference(self) -> torch.Tensor:
        """In the gains, shape ``(m,)``."""
        return torch.zeros(self.gains.shape[-1], dtype=self.gains.dtype)


def fitted(
    x: torch.Tensor,
    costs: NDArray[np.float64],
    reference: NDArray[np.float64],
    *,
    inputs: Inputs,
    seed: int,
    iterations: int = 200,
    rough: bool = False,
) -> Surrogate:
    """Gaussian processes fitted by maximum a posteriori, with BoTorch's own priors.

    Args:
        x: Shape ``(n, d)``.
        costs: Shape ``(n, m)``, minimised, finite.
        reference: Shape ``(m,)``.
        inputs: How ``x`` came about; decides the kernel.
        seed: For starting anew after an optimisation that failed.
        iterations: Most steps of L-BFGS, for each objective.
        rough: With a Matérn-5/2 kernel, as TuRBO has it, instead of a radial one.

    Raises:
        ModelFittingError: No attempt succeeded.
        RuntimeError: The linear algebra failed.
    """
    spread = costs.std(axis=0)
    tiny = 1e-12 * np.maximum(np.abs(costs).max(axis=0), 1.0)
    scale = np.where(spread > tiny, spread, np.maximum(np.abs(reference - costs).max(axis=0), 1.0))
    gains = torch.from_numpy((reference - costs) / scale)
    with advice_ignored(), manual_seed(seed):
        model = ModelListGP(*[_process(x, gains[:, [j]], inputs, rough=rough) for j in range(gains.shape[1])])
        for process in model.models:
            likelihood = ExactMarginalLogLikelihood(process.likelihood, process)
            fit_gpytorch_mll(likelihood, optimizer_kwargs={"options": {"maxiter": iterations}})
    return Surrogate(model.eval(), x, gains)


def _process(x: torch.Tensor, gain: torch.Tensor, inputs: Inputs, *, rough: bool) -> SingleTaskGP:
    if inputs.kernel == "hamming" and inputs.categorical:
        return MixedSingleTaskGP(x, gain, cat_dims=inputs.categorical)
    kernel = get_matern_kernel_with_gamma_prior(ard_num_dims=x.shape[-1]) if rough else None
    return SingleTaskGP(x, gain, covar_module=kernel)
