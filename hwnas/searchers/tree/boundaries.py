"""Boundaries between the two sides of a node, and how they are learned from labelled samples."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hwnas.searchers.tree.samples import Codes, Labels, Members, Samples


class Boundary(Protocol):
    """Tells the sides of a node apart."""

    def sides(self, codes: Codes) -> Labels:
        """0 for the promising side, 1 for the other, shape ``(n,)``."""


class Separator(Protocol):
    """Learns boundaries."""

    def __call__(self, samples: Samples, labels: Labels) -> Boundary:
        """A boundary between samples of different labels; both labels occur."""


@dataclass(frozen=True)
class _Kernel:
    """What a fitted machine predicts, without the checks that cost it ten times the arithmetic."""

    vectors: Codes  # (s, d)
    weights: NDArray[np.float64]  # (s,)
    intercept: float
    gamma: float
    degree: int  # 0 for the radial kernel

    @classmethod
    def of(cls, machine: Any, *, degree: int) -> _Kernel:
        gamma = machine._gamma  # noqa: SLF001  ("scale" as a number; public only as a formula)
        weights, intercept = machine.dual_coef_[0], float(machine.intercept_[0])
        return cls(machine.support_vectors_, weights, intercept, float(gamma), degree)

    def sides(self, codes: Codes) -> Labels:
        products = codes @ self.vectors.T  # (n, s)
        if self.degree:
            kernel = (self.gamma * products) ** self.degree
        else:
            squares = (codes**2).sum(axis=1)[:, None] + (self.vectors**2).sum(axis=1) - 2 * products
            kernel = np.exp(-self.gamma * squares)
        return np.asarray(kernel @ self.weights + self.intercept > 0, dtype=np.int64)


@dataclass(frozen=True)
class _Linear:
    weights: NDArray[np.float64]  # (d,)
    threshold: float

    def sides(self, codes: Codes) -> Labels:
        return np.asarray(codes @ self.weights < self.threshold, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class KernelSvm:
    """A support vector machine with a kernel.

    Fitting takes between the second and the third power of the number of samples; beyond ``largest`` it is given an
    even selection of both labels.

    Attributes:
        kernel: Radial, or a polynomial.
        penalty: ``C``.
        degree: Of the polynomial.
        largest: Samples it is fitted to at the most.
    """

    kernel: Literal["rbf", "poly"] = "rbf"
    penalty: float = 10.0
    degree: int = 4
    largest: int = 1000

    def __call__(self, samples: Samples, labels: Labels) -> Boundary:
        """A boundary between samples of different labels."""
        from sklearn import config_context  # noqa: PLC0415  (a second of importing that a search without trees is spared)
        from sklearn.svm import SVC  # noqa: PLC0415

        kept = _even(labels, self.largest)
        machine = SVC(kernel=self.kernel, C=self.penalty, degree=self.degree, gamma="scale")
        with config_context(assume_finite=True, skip_parameter_validation=True):  # which takes longer than a small fit
            machine.fit(samples.codes[kept], labels[kept])
        return _Kernel.of(machine, degree=self.degree if self.kernel == "poly" else 0)


@dataclass(frozen=True, kw_only=True)
class LinearSvm:
    """A linear support vector machine; its cost grows in proportion to the samples.

    Attributes:
        penalty: ``C``.
        largest: Samples it is fitted to at the most.
    """

    penalty: float = 1.0
    largest: int = 5000

    def __call__(self, samples: Samples, labels: Labels) -> Boundary:
        """A boundary between samples of different labels."""
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
        from sklearn.svm import LinearSVC  # noqa: PLC0415

        kept = _even(labels, self.largest)
        with warnings.catch_warnings():  # a boundary that is nearly the best separates nearly as well
            warnings.simplefilter("ignore", ConvergenceWarning)
            machine = LinearSVC(C=self.penalty, dual=False, random_state=0).fit(samples.codes[kept], labels[kept])
        return _Linear(-machine.coef_[0], float(machine.intercept_[0]))


@dataclass(frozen=True, kw_only=True)
class RidgeThreshold:
    """A linear regression of the merit, cut at the mean of its predictions (LaNAS, equation 1), in closed form.

    Attributes:
        penalty: On the squared weights, for columns of 0 and 1.
    """

    penalty: float = 1.0

    def __call__(self, samples: Samples, labels: Labels) -> Boundary:
        """The boundary; it depends on the merits, not on the labels made of them."""
        del labels
        weights, _ = ridge(samples.codes, samples.merits, penalty=self.penalty)
        return _Linear(weights, float((samples.codes @ weights).mean()))


def ridge(codes: Codes, merits: NDArray[np.float64], *, penalty: float) -> tuple[NDArray[np.float64], float]:
    """Weights, shape ``(d,)``, and intercept of the least squares fit with a penalty on the squared weights."""
    center, mean = codes.mean(axis=0), float(merits.mean())
    centered = codes - center
    gram = centered.T @ centered + penalty * np.eye(codes.shape[1])
    weights = np.linalg.solve(gram, centered.T @ (merits - mean))
    return weights, mean - float(center @ weights)


def _even(labels: Labels, largest: int) -> Members:
    """Indices of at most ``largest`` samples, evenly from both labels and over their order."""
    if len(labels) <= largest:
        return np.arange(len(labels))
    kept = []
    for side in (0, 1):
        members = np.flatnonzero(labels == side)
        share = max(2, round(largest * len(members) / len(labels)))
        kept.append(members[np.unique(np.linspace(0, len(members) - 1, share).round().astype(int))])
    return np.sort(np.concatenate(kept))
