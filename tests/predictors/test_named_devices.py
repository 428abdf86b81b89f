"""Devices by name: of a pool, of a table, or of a few timed networks; and what describes none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwnas.core import UsageError
from hwnas.networks import NetworkFamily, network_family
from hwnas.predictors import REFERENCES, LatencyPool, device_name, open_device_named, read_pool, template
from latency_tables import resolve, write_table
from tests.predictors.pools import write_nasbench201

TABLE = "h100-ortcuda-nasbench201-fp32"


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> LatencyPool:
    folder = tmp_path_factory.mktemp("pool")
    write_nasbench201(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWNAS_DATA", str(folder))
        return read_pool("nasbench201")


@pytest.fixture(scope="module")
def family() -> NetworkFamily:
    return network_family("nasbench201")


def test_a_device_of_the_pool_is_described_by_what_the_pool_has(pool: LatencyPool, family: NetworkFamily) -> None:
    references = pool.architectures[:REFERENCES]
    found = open_device_named("phone", pool=pool, references=references, networks=family)
    row = pool.latency_ms[pool.devices.index("phone")]
    assert found.reference_ms.tolist() == row[:REFERENCES].tolist()
    known_ms, spread_ms = found.latency.predict(pool.architectures[20:30])
    assert known_ms.tolist() == row[20:30].tolist()
    assert not spread_ms.any()
    others = [one for one in family.space.listed[:200] if one not in set(pool.architectures)]
    predicted_ms, spread_ms = found.latency.predict(others)
    assert ((predicted_ms > 0) & (spread_ms > 0)).all()
    assert found.name == found.source == "phone"


def test_a_table_is_a_device_of_its_own_name(pool: LatencyPool, family: NetworkFamily, tmp_path: Path) -> None:
    from latency_tables import read_table

    file = write_table(read_table(resolve(TABLE)), tmp_path / "board.jsonl")
    references = pool.architectures[:REFERENCES]
    shipped, own = (
        open_device_named(str(name), pool=pool, references=references, networks=family) for name in (TABLE, file)
    )
    assert (shipped.name, own.name) == (TABLE, "board")
    assert shipped.sha256 == own.sha256
    assert shipped.reference_ms.tolist() == own.latency.predict(references)[0].tolist()


def test_ten_timed_networks_are_a_device(pool: LatencyPool, family: NetworkFamily, tmp_path: Path) -> None:
    references = pool.architectures[:REFERENCES]
    lines = template(references, pool.about).splitlines()
    timed = np.arange(1.0, REFERENCES + 1)
    file = tmp_path / "board.csv"
    file.write_text("\n".join([lines[0], *(f"{line}{ms}" for line, ms in zip(lines[1:], timed, strict=True))]))
    found = open_device_named(str(file), pool=pool, references=references, networks=family)
    assert found.name == "board"
    assert found.reference_ms.tolist() == timed.tolist()
    assert np.isfinite(found.latency.predict(pool.architectures)[0]).all()
    with pytest.raises(UsageError, match=r"board.csv lacks 1: .*`hwnas predictor choose --space nasbench201"):
        open_device_named(str(file), pool=pool, references=pool.architectures[1 : REFERENCES + 1], networks=family)


def test_an_unknown_device_is_told_with_the_nearest_names(pool: LatencyPool, family: NetworkFamily) -> None:
    with pytest.raises(UsageError, match=f"unknown device 'fone': .*MEASURED.csv.*{TABLE}.*Did you mean 'phone'"):
        open_device_named("fone", pool=pool, references=pool.architectures[:REFERENCES], networks=family)


def test_files_are_called_by_their_names_without_endings() -> None:
    assert [device_name(one) for one in ("pixel3", "a/board.v2.jsonl", "b/board.csv")] == [
        "pixel3",
        "board.v2",
        "board",
    ]
