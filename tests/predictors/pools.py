"""Made-up pools of latencies as files, for tests of what reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwnas.predictors.pool_spaces import POOL_SPACES
from hwnas.spaces import architecture_string, nasbench201_space

DEVICES = ("board_1", "board_32", "phone", "server_4114")


def write_table(folder: Path, file: str, columns: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), folder / file)


def latencies(space: str, architectures: list[Any]) -> dict[str, list[float]]:
    """Additive devices: each has its own price for each feature."""
    features = POOL_SPACES[space].features(architectures)
    rng = np.random.default_rng(1)
    return {
        f"{device}_latency_ms": (scale * (3 + features @ rng.uniform(0, 1, features.shape[1]))).tolist()
        for scale, device in enumerate(DEVICES, start=1)
    }


def write_nasbench201(folder: Path, *, networks: int = 400) -> None:
    space, rng = nasbench201_space(), np.random.default_rng(0)
    drawn = {architecture_string(one): one for one in (space.sample(rng) for _ in range(networks))}
    columns = {"arch_str": list(drawn), **latencies("nasbench201", list(drawn.values()))}
    write_table(folder, "nasbench201.parquet", columns)


def write_ofa(folder: Path, *, networks: int = 600) -> None:
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = [
        {
            "ks": " ".join(map(str, rng.choice([3, 5, 7], 20))),
            "e": " ".join(map(str, rng.choice([3, 4, 6], 20))),
            "d": " ".join(map(str, rng.choice([2, 3, 4], 5))),
            "r": int(rng.choice([132, 160, 192, 204, 224])),
        }
        for _ in range(networks)
    ]
    architectures = [POOL_SPACES["mobilenet:ofa"].architecture(row) for row in rows]
    columns = {name: [row[name] for row in rows] for name in ("ks", "e", "d", "r")}
    write_table(folder, "ofa_mbv3_latency.parquet", {**columns, **latencies("mobilenet:ofa", architectures)})
