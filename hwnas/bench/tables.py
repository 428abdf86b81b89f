"""Problems whose every architecture stands in a table, so that the true front is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.bench.problem import BenchProblem, Report, standardised
from hwnas.core import Architecture, Objective, UsageError, unknown
from hwnas.evaluators import MACRO_FILE, NASBENCH201_FILE, TabularEvaluator, macro_table, nasbench201_table
from hwnas.pareto import hypervolume
from hwnas.searchers import SearchProblem

Array = NDArray[np.float64]

NASBENCH201_DEVICES = (
    "1080ti_1", "1080ti_32", "1080ti_256", "2080ti_1", "2080ti_32", "2080ti_256", "essential_ph_1", "eyeriss",
    "gold_6240", "pixel3", "samsung_a50", "samsung_s7", "silver_4114", "silver_4210r", "titan_rtx_1", "titan_rtx_32",
    "titanx_1", "titanx_32", "titanx_256", "titanxp_1", "titanxp_32", "titanxp_256",
)  # fmt: skip
SEVERAL = "+"  # between devices of one problem
REFERENCE = np.array([3.0, 6.0])  # LaMOO's: accuracy one deviation below the mean, the cost four above it
SHIFT = 2.0  # LaMOO's: standardised accuracy less 2, standardised cost plus 2
_GUESSING = 10.0  # percent, of ten classes
_SAMPLES_TO_BEST = (0.99, 0.995, 0.999, 1.0)


def nasbench201() -> BenchProblem:
    """LaMOO's own problem: CIFAR-10 accuracy and FLOPs of NAS-Bench-201, both standardised.

    It searches on test accuracy, as the original does.

    References:
        Zhao et al., 2022, Multi-objective optimization by learning space partitions (ICLR).
    """
    table = nasbench201_table(["cifar10_test_acc_200", "flops_m"])
    return _standardised_problem(
        "nasbench201",
        "CIFAR-10 accuracy and FLOPs of NAS-Bench-201, LaMOO's own problem",
        table,
        accuracy="cifar10_test_acc_200",
        costs={"flops": "flops_m"},
        file=NASBENCH201_FILE,
    )


def nasbench201_device(*devices: str) -> BenchProblem:
    """CIFAR-100 validation accuracy and the latency on a device, both standardised; fronts are judged by test accuracy.

    Args:
        devices: Of ``NASBENCH201_DEVICES``, each an objective of its own; the number after a GPU is the batch.

    Raises:
        UsageError: No such device, or one twice.
    """
    for device in devices:
        if device not in NASBENCH201_DEVICES:
            raise unknown("device of nasbench201", device, NASBENCH201_DEVICES)
    if len(set(devices)) < len(devices):
        raise UsageError(f"expected each device once, received {SEVERAL.join(devices)}")
    latencies = [f"{device}_latency_ms" for device in devices]
    table = nasbench201_table(["cifar100_valid_acc_200", "cifar100_test_acc_200", *latencies])
    return _standardised_problem(
        f"nasbench201:{SEVERAL.join(devices)}",
        f"CIFAR-100 validation accuracy and latency on {', '.join(devices)}, of NAS-Bench-201",
        table,
        accuracy="cifar100_valid_acc_200",
        costs={"latency": latencies[0]}
        if len(devices) == 1
        else {f"latency@{device}": name for device, name in zip(devices, latencies, strict=True)},
        file=NASBENCH201_FILE,
        test="cifar100_test_acc_200",
    )


def nasbench201_accuracy() -> BenchProblem:
    """CIFAR-10 validation accuracy alone: how many samples until the best architecture is found.

    Reported is the test accuracy of the best by validation.
    """
    table = nasbench201_table(["cifar10_valid_acc_200", "cifar10_test_acc_200"])
    searched, reported = (
        Objective(name=name, unit="%", direction="maximize", known="trained") for name in table.columns
    )
    best, best_test = (float(values.max()) - _GUESSING for values in table.columns.values())
    return BenchProblem(
        name="nasbench201-accuracy",
        title="CIFAR-10 validation accuracy of NAS-Bench-201",
        search=SearchProblem(space=table.space, objectives=(searched,), reference=np.array([-_GUESSING])),
        evaluator=table,
        best=best,
        best_is="true",
        files=(NASBENCH201_FILE,),
        report=Report(words="test accuracy", objectives=(reported,), reference=np.array([-_GUESSING]), best=best_test),
        levels=_SAMPLES_TO_BEST,
    )


def macro() -> BenchProblem:
    """CIFAR-10 accuracy and FLOPs of NAS-Bench-Macro, both standardised; the benchmark has test accuracy alone."""
    table = macro_table(["cifar10_test_acc_mean", "flops_m"])
    return _standardised_problem(
        "macro",
        "CIFAR-10 accuracy and FLOPs of NAS-Bench-Macro",
        table,
        accuracy="cifar10_test_acc_mean",
        costs={"flops": "flops_m"},
        file=MACRO_FILE,
    )


def standard_objectives(*costs: str, accuracy: str = "accuracy") -> tuple[Objective, ...]:
    """Standardised accuracy, which has to be trained, and standardised costs, which are known."""
    return (
        Objective(name=accuracy, unit="", direction="maximize", known="trained"),
        *(Objective(name=cost, unit="", direction="minimize", known="tabulated") for cost in costs),
    )


def _standardised_problem(
    name: str,
    title: str,
    raw: TabularEvaluator,
    *,
    accuracy: str,
    costs: Mapping[str, str],
    file: str,
    test: str | None = None,
) -> BenchProblem:
    """A problem of columns of a table, costs by what they are to be called."""
    columns = {"accuracy": standardised(raw.columns[accuracy]) - SHIFT}
    columns |= {cost: standardised(raw.columns[column]) + SHIFT for cost, column in costs.items()}
    if test:
        columns["test_accuracy"] = standardised(raw.columns[test]) - SHIFT
    table = raw.with_columns(columns)
    reference = np.array([REFERENCE[0], *[REFERENCE[1]] * len(costs)])
    report = None
    if test:
        report = Report(
            words="test accuracy in place of validation accuracy",
            objectives=standard_objectives(*costs, accuracy="test_accuracy"),
            reference=reference,
            best=_hypervolume(table, "test_accuracy", costs, reference),
        )

    def known(architectures: Sequence[Architecture]) -> Array:
        return np.stack([table.values(cost, architectures) for cost in costs], axis=1)

    return BenchProblem(
        name=name,
        title=title,
        search=SearchProblem(
            space=table.space, objectives=standard_objectives(*costs), reference=reference, known=known
        ),
        evaluator=table,
        best=_hypervolume(table, "accuracy", costs, reference),
        best_is="true",
        files=(file,),
        report=report,
    )


def _hypervolume(table: TabularEvaluator, accuracy: str, costs: Iterable[str], reference: Array) -> float:
    found = np.stack([-table.columns[accuracy], *(table.columns[cost] for cost in costs)], axis=1)
    return hypervolume(found, reference)
