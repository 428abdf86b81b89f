"""Evaluators from tables: values are those of the rows, and files that will not do are named."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hwnas.core import Architecture, DataError, MachineError, UsageError
from hwnas.evaluators import accel_evaluator, macro_table, nasbench201_table, ofa_evaluator, read_columns
from hwnas.spaces import ArchitectureCodes, accel_space, architecture_string, macro_space, nasbench201_space
from latency_tables import MissingExtraError


def in_folder(name: str) -> None:
    if not Path(os.environ.get("HWNAS_DATA", ""), name).is_file():
        pytest.skip(f"needs {name} in the folder that HWNAS_DATA names")


def write(folder: Path, name: str, columns: dict[str, Any]) -> None:
    pq.write_table(pa.table(columns), folder / name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HWNAS_DATA", str(tmp_path))
    return tmp_path


def macro_columns() -> dict[str, Any]:
    digits = [np.base_repr(i, 3).zfill(8) for i in range(6561)]
    return {"arch": digits, "acc": [float(i) for i in range(6561)]}


def test_a_macro_network_has_the_values_of_its_digits(folder: Path) -> None:
    write(folder, "nasbench_macro_cifar10.parquet", macro_columns())
    table = macro_table(["acc"])
    operations = ("identity", "k3_e3", "k5_e6")
    digits = "00120212"
    one = Architecture({f"layer_{i}": operations[int(d)] for i, d in enumerate(digits, start=1)})
    assert table.evaluate(macro_space().architecture(dict(one))) == {"acc": float(int(digits, 3))}
    assert table.values("acc", [one, one]).tolist() == [int(digits, 3)] * 2
    assert table.values("acc", []).shape == (0,)
    with pytest.raises(UsageError, match=r"macro has no row for .*expected one of its 6,561 architectures"):
        table.evaluate(Architecture({"layer_1": "identity"}))
    assert table.with_columns({"twice": 2 * table.columns["acc"]}).evaluate(one)["twice"] == 2 * int(digits, 3)


def test_a_cell_has_the_values_of_its_string(folder: Path) -> None:
    cells = list(nasbench201_space().enumerate())
    names = [architecture_string(cell) for cell in cells]
    write(folder, "nasbench201.parquet", {"arch_str": names[::-1], "acc": [float(i) for i in range(15625)]})
    table = nasbench201_table(["acc"])
    assert table.values("acc", cells[:3]).tolist() == [15624, 15623, 15622]


def test_files_that_will_not_do_are_named_with_what_was_expected(folder: Path) -> None:
    good, file = macro_columns(), "nasbench_macro_cifar10.parquet"
    for columns, message in (
        ({"arch": good["arch"]}, "expected the columns acc, received arch"),
        ({"arch": good["arch"][:9], "acc": good["acc"][:9]}, "each of the 6,561 architectures of macro once.*9 rows"),
        ({**good, "arch": [good["arch"][0], *good["arch"][:-1]]}, "6,561 rows with 6,560 different ones"),
        ({**good, "arch": ["x", *good["arch"][1:]]}, "expected eight digits 0 to 2 as the architecture, received 'x'"),
        ({**good, "acc": [None, *good["acc"][1:]]}, "a number in every row of column acc, received 1 that are missing"),
        ({**good, "acc": ["x"] * 6561}, "expected numbers in the columns acc"),
    ):
        write(folder, file, columns)
        with pytest.raises(DataError, match=message):
            macro_table(["acc"])
    (folder / file).write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match=r"cannot read .* as a Parquet file"):
        macro_table(["acc"])
    write(folder, "nasbench201.parquet", {"arch_str": ["|x~0|"], "acc": [1.0]})
    with pytest.raises(DataError, match=r"nasbench201\.parquet has an architecture that cannot be read"):
        nasbench201_table(["acc"])


def test_what_the_machine_lacks_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MachineError, match=r"absent\.parquet does not exist"):
        read_columns("absent.parquet", ["a"])
    write(folder, "there.parquet", {"a": [1]})
    assert read_columns("there.parquet", ["a"]) == {"a": [1]}
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'pyarrow, which is not installed: pip install "hwnas\[parquet\]"'):
        read_columns("there.parquet", ["a"])


def test_the_canonical_cells_join_the_classes_of_the_benchmarks_own_strings() -> None:
    in_folder("nasbench201.parquet")
    read = read_columns("nasbench201.parquet", ["arch_str", "unique_str"])
    space = nasbench201_space()
    cells = {architecture_string(cell): space.canonical(cell) for cell in space.enumerate()}
    classes: dict[str, set[Architecture]] = {}
    for name, unique in zip(read["arch_str"], read["unique_str"], strict=True):
        classes.setdefault(unique, set()).add(cells[name])
    assert len(classes) == 6466
    assert all(len(found) == 1 for found in classes.values())


def test_once_for_all_networks_have_the_accuracy_and_latency_that_were_computed_elsewhere() -> None:
    for file in ("ofa_mbv3_note10_sample.parquet", "ofa_mbv3_accuracy_predictor.npz", "ofa_note10_op_latency.parquet"):
        in_folder(file)
    evaluator = ofa_evaluator()
    columns = ["ks", "e", "d", "r", "predicted_top1", "note10_latency_ms"]
    rows = list(zip(*read_columns("ofa_mbv3_note10_sample.parquet", columns).values(), strict=True))[:200]
    architectures = []
    for ks, e, d, r, *_ in rows:
        kernels, expansions, depths = ([int(word) for word in text.split()] for text in (ks, e, d))
        values: dict[str, float] = {"resolution": r, "width": 1.2}
        for stage, depth in enumerate(depths):
            values[f"s{stage + 1}.depth"] = depth
            for block in range(4):
                values[f"s{stage + 1}.b{block + 1}.kernel"] = kernels[4 * stage + block]
                values[f"s{stage + 1}.b{block + 1}.expansion"] = expansions[4 * stage + block]
        architectures.append(evaluator.space.architecture(values))
    codes = ArchitectureCodes(evaluator.space).encode(architectures)
    assert evaluator.accuracy(codes) == pytest.approx([row[4] for row in rows], abs=1e-4)
    assert evaluator.latency_ms(codes) == pytest.approx([row[5] for row in rows], abs=1e-9)
    one = evaluator.evaluate(architectures[0])
    assert one == {"accuracy": pytest.approx(rows[0][4], abs=1e-4), "latency_ms": pytest.approx(rows[0][5])}


def test_a_predictor_of_another_shape_or_a_table_with_gaps_is_refused(folder: Path) -> None:
    shape = {"image_size": [160], "input_channels": [3], "output_channels": [24], "mid_channels": [None]}
    rest = {"kernel": [None], "stride": [None], "op": ["Conv"], "latency_ms": [1.0]}
    write(folder, "ofa_note10_op_latency.parquet", {**shape, **rest})
    with pytest.raises(DataError, match=r"ofa_note10_op_latency\.parquet lacks a row of the space"):
        ofa_evaluator()


def test_models_of_accelerators_follow_the_networks_they_were_fitted_to() -> None:
    in_folder("accel_nasbench_imagenet.parquet")
    evaluator = accel_evaluator("zcu102")
    read = read_columns("accel_nasbench_imagenet.parquet", ["val_top1", "zcu102_latency_ms"])
    latency = np.array([np.nan if v is None else v for v in read["zcu102_latency_ms"]], dtype=float)
    there = np.isfinite(latency)
    assert np.corrcoef(evaluator.accuracy.predict(evaluator.trained), read["val_top1"])[0, 1] > 0.98
    assert np.corrcoef(evaluator.latency.predict(evaluator.trained)[there], latency[there])[0, 1] > 0.98
    one = accel_space().sample(np.random.default_rng(0))
    assert set(evaluator.evaluate(one)) == {"accuracy", "latency_ms"}
    with pytest.raises(UsageError, match=r"unknown device of accel 'zcu'.*Did you mean 'zcu102'"):
        accel_evaluator("zcu")
