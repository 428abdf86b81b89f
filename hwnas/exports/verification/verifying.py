"""All checks of a model, and the record of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from hwnas.conversion.differences import Arrays
from hwnas.conversion.runtime import CPU, onnxruntime, opset_of, session
from hwnas.core import LatencyMeter, UsageError
from hwnas.exports.promises import LATENCY_TOLERANCE, LatencyCheck, check_latency, measurement
from hwnas.exports.verification.culprits import Culprit, culprit
from hwnas.exports.verification.localising import Pair, fed, first_difference, first_infinite, matched, running
from hwnas.exports.verification.outputs import TOLERANCES, OutputParity, compare, precision_in
from hwnas.exports.verification.references import Reference, open_reference, renamed_for
from hwnas.exports.verification.samples import Samples, made_up_samples, with_sizes
from hwnas.exports.verification.soundness import read_model, require_tensors, said, shapes_of, unsound

_LOCALISING = 4  # samples, of each of which all tensors of half a graph are held
_CLOSER = 0.1  # of the tolerance: what an output is off by has grown on its way
_FAR = frozenset({"AzureExecutionProvider"})  # run nothing on this machine
_LOOSER = 10.0  # times the tolerance, where a GPU multiplies with fewer bits
_MANY = 5  # samples a run, where the batch is open


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found out about a model.

    Attributes:
        model: The file.
        facts: Hash, precision, opset, and the shapes of inputs and outputs.
        samples: What it was fed with, in words.
        unsound: What is wrong with it before it is run; nothing else is checked then.
        against: What it was compared with.
        parity: With that.
        providers: Each execution provider here against the CPU without any optimisation; text where one is not usable.
        batch: Several samples in one run against one by one; text where the batch is fixed.
        culprit: The first tensor that is not what it should be.
        latency: Measured and predicted; as a mapping where one of them is missing, which says why.
        problems: What failed, in words.
    """

    model: str
    facts: Mapping[str, Any]
    samples: str = ""
    unsound: str | None = None
    against: str | None = None
    parity: OutputParity | None = None
    providers: Mapping[str, OutputParity | str]
    batch: OutputParity | str = "not looked at"
    culprit: Culprit | None = None
    latency: LatencyCheck | Mapping[str, Any]
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """For programs."""

        def plain(value: Any) -> Any:
            return value.to_json() if hasattr(value, "to_json") else value

        fields = ("samples", "unsound", "against", "parity", "batch", "culprit", "latency")
        return {
            "model": self.model,
            **self.facts,
            **{name: plain(getattr(self, name)) for name in fields},
            "providers": {name: plain(value) for name, value in self.providers.items()},
            "problems": list(self.problems),
            "passed": self.passed,
        }


@dataclass(frozen=True, kw_only=True)
class LatencyPromise:
    """How the latency of a model is to be judged.

    Attributes:
        meter: Measures it.
        predicted_ms: What was promised; ``None`` where nothing was.
        why_not: Why nothing was.
        tolerance: How far both may be apart, relative.
    """

    meter: LatencyMeter
    predicted_ms: float | None = None
    why_not: str = "no table to predict from was given"
    tolerance: float = LATENCY_TOLERANCE


def verify(
    path: str | Path,
    *,
    against: str | Path | None = None,
    samples: Samples | None = None,
    tolerance: float | None = None,
    promise: LatencyPromise | None = None,
) -> Verification:
    """Checks an ONNX model, wherever it is from.

    Args:
        path: The model.
        against: What it should compute: an ``.onnx`` file, or the ``.py`` file of an export with its weights beside it,
            which is run. Without, it is compared with itself alone.
        samples: What to feed it with; made-up numbers when left out.
        tolerance: Largest difference of an output relative to the largest one of the sample; by default what the
            precision of the model makes one expect.
        promise: How its latency is measured and what it should be.

    Returns:
        What was found, failures included.

    Raises:
        UsageError: A file cannot be read, or reads something else.
        MachineError: ONNX Runtime is not installed.
    """
    if tolerance is not None and not tolerance > 0:
        raise UsageError(f"expected a tolerance above 0, such as 0.001, received {tolerance:g}")
    onnxruntime()
    model = read_model(path)
    found = Verification(
        model=str(path), facts=_facts(Path(path), model), providers={}, latency={"skipped": "no device was asked for"}
    )
    wrong = unsound(model)
    if wrong is not None:
        return replace(found, unsound=wrong, problems=(wrong,))
    require_tensors(model, file=str(path))
    given = samples or made_up_samples(model)
    reference = open_reference(against, given) if against is not None else None
    usual, agreement = _tolerances(model, reference)
    limits = {"tolerance_rel": tolerance or usual, "least_agreement": agreement}
    checks = _Checks(model, given, limits)
    found = replace(found, samples=given.origin)
    try:
        plain = checks.baseline()
    except Exception as error:  # whatever the runtime raises
        return replace(found, problems=(f"it cannot be run on {given.origin}: {said(error)}",))
    if not all(np.isfinite(value).all() for value in plain if value.dtype.kind == "f"):
        found = checks.infinite(found)
    elif reference is not None:
        found = checks.compared(found, reference, plain)
    found = checks.on_providers(found, plain)
    found = checks.in_batches(found, plain)
    return found if promise is None else _timed(found, with_sizes(model, given), promise)


@dataclass(frozen=True)
class _Checks:
    """The checks that run a model."""

    model: onnx.ModelProto
    samples: Samples
    limits: Mapping[str, float]

    @property
    def names(self) -> list[str]:
        return [value.name for value in self.model.graph.output]

    @property
    def closer(self) -> float:
        """What a tensor inside may be off by, where an output is off by more than its tolerance."""
        coarse = self.limits["tolerance_rel"] >= TOLERANCES["int8"][0]  # rounding alone takes a tensor that far
        return self.limits["tolerance_rel"] * (1.0 if coarse else _CLOSER)

    def baseline(self) -> Arrays:
        """Outputs on the CPU, nothing fused."""
        return fed(session(self.model.SerializeToString(), optimised=False), self.samples, self.names)

    def infinite(self, found: Verification) -> Verification:
        tensor = first_infinite(self.model, self.samples.first(_LOCALISING)) or self.names[0]
        pair = Pair(tensor=tensor, expected=tensor)
        named = culprit(self.model, None, [pair], 0, float("inf"))
        problem = f"it puts out what is no number, first in {tensor} of {named.op_type} node {named.node!r}"
        return replace(found, culprit=named, problems=(*found.problems, problem))

    def compared(self, found: Verification, reference: Reference, plain: Arrays) -> Verification:
        expected = reference.outputs(self.samples)
        if len(expected) != len(plain):
            problem = f"it has {len(plain)} outputs, {reference.name} has {len(expected)}"
            return replace(found, against=reference.name, problems=(*found.problems, problem))
        count = min(len(expected[0]), len(plain[0]))
        parity = compare([one[:count] for one in plain], [one[:count] for one in expected], **self.limits)
        found = replace(found, against=reference.name, parity=parity)
        if parity.passed:
            return found
        named = self._located(reference)
        problem = f"it is not what {reference.name} computes: {parity}" + (f"; {named}" if named else "")
        return replace(found, culprit=named, problems=(*found.problems, problem))

    def _located(self, reference: Reference) -> Culprit | None:
        if reference.graph is None:
            return None
        pairs = matched(self.model, reference.graph)
        expected = renamed_for(running(reference.graph), reference.graph)
        for samples in (self.samples.first(_LOCALISING), self.samples):  # what few do not show, all of them do
            first = first_difference(pairs, running(self.model), expected, samples, tolerance_rel=self.closer)
            if first is not None:
                return culprit(self.model, reference.graph, pairs, *first)
        return None

    def on_providers(self, found: Verification, plain: Arrays) -> Verification:
        """Every provider of this machine, optimised as it would be deployed."""
        done: dict[str, OutputParity | str] = {}
        problems = list(found.problems)
        named = found.culprit
        for provider in onnxruntime().get_available_providers():
            if provider in _FAR:
                continue
            try:
                held = session(self.model.SerializeToString(), provider=provider)
                if held.get_providers()[0] != provider:
                    done[provider] = "it is built in, but does not load on this machine"
                    continue
                outputs = fed(held, self.samples, self.names)
            except Exception as error:  # whatever a provider raises
                done[provider] = f"{type(error).__name__}: {error}".splitlines()[0]
                problems.append(f"{provider} cannot run it: {done[provider]}")
                continue
            looser = 1.0 if provider == CPU else _LOOSER
            limits = {**self.limits, "tolerance_rel": looser * self.limits["tolerance_rel"]}
            parity = compare(outputs, plain, **limits)
            done[provider] = parity
            if not parity.passed and found.parity is None and named is None:
                named = self._provider_culprit(provider)
            if not parity.passed and all(np.isfinite(value).all() for value in plain):
                problems.append(f"{provider} computes something else than the plain CPU: {parity}")
        return replace(found, providers=done, problems=tuple(problems), culprit=named)

    def _provider_culprit(self, provider: str) -> Culprit | None:
        pairs = matched(self.model, self.model)
        run = running(self.model, provider=provider, optimised=True)
        few = self.samples.first(_LOCALISING)
        first = first_difference(pairs, run, running(self.model), few, tolerance_rel=self.closer)
        return None if first is None else culprit(self.model, None, pairs, *first)

    def in_batches(self, found: Verification, plain: Arrays) -> Verification:
        """Several samples in one run."""
        held = session(self.model.SerializeToString())
        counting = next((entry.shape[0] for entry in held.get_inputs() if entry.shape), 1)
        if isinstance(counting, int):
            return replace(found, batch=f"fixed at {counting}")
        few = self.samples.first(_MANY)
        try:
            outputs = fed(held, few, self.names, batch=len(few))
        except Exception as error:  # whatever the runtime raises
            problem = f"it cannot run {len(few)} samples at once: {error}".splitlines()[0]
            return replace(found, batch=problem, problems=(*found.problems, problem))
        parity = compare(outputs, [value[: len(few)] for value in plain], **self.limits)
        problems = found.problems
        if not parity.passed and all(np.isfinite(value).all() for value in plain):
            problems = (*problems, f"{len(few)} samples at once give something else than one by one: {parity}")
        return replace(found, batch=parity, problems=problems)


def _tolerances(model: onnx.ModelProto, reference: Reference | None) -> tuple[float, float]:
    """Those of the coarser of two models."""
    kinds = [precision_in(model)]
    if reference is not None and reference.graph is not None:
        kinds.append(precision_in(reference.graph))
    return max((TOLERANCES[kind] for kind in kinds), key=lambda pair: pair[0])


def _timed(found: Verification, model: onnx.ModelProto, promise: LatencyPromise) -> Verification:
    measured = promise.meter(model.SerializeToString())
    if promise.predicted_ms is None:
        return replace(found, latency={"skipped": promise.why_not, **measurement(measured)})
    latency = check_latency(promise.predicted_ms, measured, tolerance=promise.tolerance)
    problems = found.problems
    if not latency.passed:
        problems = (
            *problems,
            (
                f"it takes {latency.measured_ms:.4g} ms where {latency.predicted_ms:.4g} ms were predicted "
                f"({latency.ratio:.2f}x, tolerance {latency.tolerance:.0%})"
            ),
        )
    return replace(found, latency=latency, problems=problems)


def _facts(path: Path, model: onnx.ModelProto) -> dict[str, Any]:
    return {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "precision": precision_in(model),
        "opset": opset_of(model),
        "inputs": shapes_of(model.graph.input),
        "outputs": shapes_of(model.graph.output),
    }
