"""What several test files share; helpers that are no fixtures are in ``tests.builders``."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

import profilers
from hwnas.networks import NetworkFamily, network_family

if TYPE_CHECKING:
    from hwnas.exports import Exported

hypothesis.settings.register_profile("hwnas", deadline=None)  # speed is a benchmark, never a timed test
hypothesis.settings.load_profile("hwnas")

SHORT = profilers.MeasuringProtocol(
    warmup_runs=1,
    profiled_runs=4,
    timed_runs=4,
    least_runs=2,
    budget_ms=50.0,
    rounds=2,
    most_rounds=2,
    sentinel_runs=4,
)


def pytest_collection_finish() -> None:
    """Takes what is imported by now, which stays, out of what is looked through for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="session", autouse=True)
def own_leases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test waits for a process that is none of its own; what times say is judged by tests that run alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWNAS_LEASES", str(tmp_path_factory.mktemp("leases")))
        yield


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Networks as small as those of tests are slower on several threads, which only wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_family() -> NetworkFamily:
    return network_family("mobilenet:tiny", channels=1, classes=10)


@pytest.fixture(scope="session")
def measured_tiny(tiny_family: NetworkFamily, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of ``mobilenet:tiny`` measured here on the CPU, at batch 1 and 8; copy it to add to it."""
    at = [tiny_family.at(batch=batch, precision="fp32") for batch in (1, 8)]
    out = tmp_path_factory.mktemp("measured") / "tiny.jsonl"
    profilers.profile(
        [workload for family in at for workload in family.workloads()],
        [workload for family in at for workload in family.references()],
        backend=profilers.open_device("cpu"),
        out=out,
        settings=profilers.CampaignSettings(space=tiny_family.space.name, protocol=SHORT),
    )
    return out


@pytest.fixture(scope="session")
def exported(tiny_family: NetworkFamily, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The knee of a run of tiny networks, trained for two epochs, in float32. Copy the run's folder to change it."""
    import hwnas
    from hwnas.training import Recipe
    from tests.builders import made_up_table

    out, recipe = tmp_path_factory.mktemp("exported") / "run", Recipe(epochs=1)
    table = made_up_table(tiny_family)
    return hwnas.export(hwnas.search(table=table, out=out, space="mobilenet:tiny", trials=2, recipe=recipe))


@pytest.fixture
def quick_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports by running the module alone: where it does not matter how, that is ten times as fast as tracing it."""
    monkeypatch.setattr("hwnas.exports.exporting.EXPORTERS", ("torchscript",))


@pytest.fixture
def short_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the command line measure in seconds, fewer rounds and runs than a table worth keeping needs."""
    monkeypatch.setattr(profilers, "CampaignSettings", partial(profilers.CampaignSettings, protocol=SHORT))
