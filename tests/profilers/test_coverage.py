"""How much of a space a table covers: computed on networks it has never seen."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwnas.networks import NetworkFamily
from latency_tables import LatencyTable
from profilers import (
    Backend,
    CampaignError,
    CampaignSettings,
    DeviceError,
    MeasuringProtocol,
    ModelError,
    OnnxRuntimeBackend,
    OnnxWorkload,
    PluginError,
    converted,
    coverage,
    profile,
)
from profilers.coverage import inspect
from profilers.testing import chain

QUICK = MeasuringProtocol(
    warmup_runs=0, profiled_runs=2, timed_runs=2, least_runs=1, rounds=1, most_rounds=1, sentinel_runs=2, budget_ms=20.0
)
NETWORKS = [chain((16, 32, 16)), chain((16, 16, 16, 16))]  # whole vectors: narrower ones are padded to these
METHODS = ("isolated", "in-place", "blocks")


@pytest.fixture(scope="module")
def backend() -> OnnxRuntimeBackend:
    return OnnxRuntimeBackend()


def measured(
    backend: Backend, folder: Path, networks: list[OnnxWorkload], *, method: str = "isolated", precision: str = "fp32"
) -> LatencyTable:
    settings = CampaignSettings(steps=False, protocol=QUICK, method=method, precisions=(precision,))  # type: ignore[arg-type]
    return profile(networks, networks, backend=backend, out=folder / "table.jsonl", settings=settings)


def without(table: LatencyTable, *keys: str) -> LatencyTable:
    return LatencyTable.from_rows(table.manifest, [row for row in table.rows() if row.key not in keys])


@pytest.mark.parametrize("method", METHODS)
def test_a_table_covers_what_it_was_made_of_by_whatever_method(
    backend: OnnxRuntimeBackend, tmp_path: Path, method: str
) -> None:
    table = measured(backend, tmp_path, NETWORKS, method=method)
    found = coverage(table, NETWORKS, backend=backend)
    assert (found.networks, found.complete, found.missing) == (2, 2, ())
    assert found.kernels == len(table.kernels)


@pytest.mark.parametrize("method", METHODS)
def test_a_network_it_has_never_seen_lacks_what_is_new_in_it(
    backend: OnnxRuntimeBackend, tmp_path: Path, method: str
) -> None:
    table = measured(backend, tmp_path, NETWORKS, method=method)
    stranger = chain((16, 48, 16))
    found = coverage(table, [*NETWORKS, stranger], backend=backend)
    assert (found.networks, found.complete) == (3, 2)
    assert found.missing
    assert all("48" in key for key in found.missing)
    assert not set(found.missing) & set(table.kernels)


def test_known_blocks_in_a_new_order_are_covered(backend: OnnxRuntimeBackend, tmp_path: Path) -> None:
    table = measured(backend, tmp_path, NETWORKS)
    assert coverage(table, [chain((16, 16, 32, 16, 16))], backend=backend).complete == 1


def test_one_lost_row_is_named_and_costs_the_networks_that_need_it(backend: OnnxRuntimeBackend, tmp_path: Path) -> None:
    table = measured(backend, tmp_path, NETWORKS)
    wide = next(key for key in table.kernels if "32x16x3x3" in key)
    found = coverage(without(table, wide), NETWORKS, backend=backend)
    assert (found.missing, found.complete) == ((wide,), 1)
    needed = {use.key for network in NETWORKS for use in inspect(backend, network, "isolated").uses}
    found = coverage(without(table, *table.kernels), NETWORKS, backend=backend)
    assert (set(found.missing), found.complete) == (needed, 0)
    assert list(found.missing) == sorted(found.missing)


def test_coverage_is_asked_in_a_precision(backend: OnnxRuntimeBackend, tmp_path: Path) -> None:
    table = measured(backend, tmp_path, NETWORKS, precision="int8")
    assert coverage(table, [converted(one, "int8") for one in NETWORKS], backend=backend).complete == 2
    assert coverage(table, NETWORKS, backend=backend).complete == 0


def test_fresh_networks_of_a_space_are_covered_by_the_table_of_its_workloads(
    backend: OnnxRuntimeBackend, tmp_path: Path, tiny_family: NetworkFamily
) -> None:
    table = measured(backend, tmp_path, list(tiny_family.workloads()))  # type: ignore[arg-type]
    rng = np.random.default_rng(4711)
    fresh = [tiny_family.workload(tiny_family.space.sample(rng)) for _ in range(25)]
    found = coverage(table, fresh, backend=backend)
    assert (found.complete, found.missing) == (25, ())


def test_no_networks_need_nothing(backend: OnnxRuntimeBackend, tmp_path: Path) -> None:
    found = coverage(measured(backend, tmp_path, NETWORKS), [], backend=backend)
    assert (found.networks, found.kernels, found.missing, found.complete) == (0, 0, (), 0)


def test_what_is_found_can_be_written_as_json(backend: OnnxRuntimeBackend, tmp_path: Path) -> None:
    found = coverage(measured(backend, tmp_path, NETWORKS), [chain((16, 48, 16))], backend=backend)
    told = json.loads(json.dumps(found.to_json()))
    assert told == {"networks": 1, "kernels": found.kernels, "missing": list(found.missing), "complete_networks": 0}


# --- what cannot be inspected


def test_blocks_are_not_inspected(backend: OnnxRuntimeBackend) -> None:
    assert inspect(backend, NETWORKS[0], "blocks").uses == ()
    assert [use.key for use in inspect(backend, NETWORKS[0], "in-place").uses] == [
        use.key for use in inspect(backend, NETWORKS[0], "isolated").uses
    ]


def test_a_network_that_does_not_load_is_refused(backend: OnnxRuntimeBackend, tmp_path: Path) -> None:
    table = measured(backend, tmp_path, NETWORKS)
    with pytest.raises(ModelError, match="expected a serialised ONNX model"):
        coverage(table, [OnnxWorkload("bad", b"no model", {"p": "b"})], backend=backend)


class Failing(OnnxRuntimeBackend):
    """FAKE: somebody else's backend, which fails when a network is inspected."""

    __module__ = "somebody.elses"
    error: Exception = KeyError("its own fault")

    def isolate(self, model: bytes, parts: Mapping[str, str]) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KeyError("its own fault"), PluginError),
        (DeviceError("the device was lost"), DeviceError),
        (ModelError("no kernel for Conv"), ModelError),
        (OSError(errno.ENOSPC, "no space left"), OSError),
    ],
)
def test_what_a_backend_raises_is_passed_on_or_told_as_its_fault(
    backend: OnnxRuntimeBackend, tmp_path: Path, error: Exception, kind: type[Exception]
) -> None:
    table = measured(backend, tmp_path, NETWORKS)
    failing = Failing()
    failing.error = error
    with pytest.raises(kind, match=r"its own fault|lost|no kernel|no space"):
        coverage(table, NETWORKS, backend=failing)


def test_a_table_is_not_added_to_by_another_method(backend: OnnxRuntimeBackend, tmp_path: Path) -> None:
    """Kernels alone and blocks are keyed apart: what a table covers is asked by the method it was made by."""
    measured(backend, tmp_path, NETWORKS[:1])
    with pytest.raises(CampaignError, match=r"was measured by .* isolated, this would be .* blocks: .* another file"):
        measured(backend, tmp_path, NETWORKS, method="blocks")
