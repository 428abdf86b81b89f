"""A tier of the ``gpunet`` space, from a search in its band to a hub and a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import hwnas
from hwnas.core import InfeasibleError
from hwnas.exports.bundles import tiers_of, write_hub
from hwnas.networks import network_family
from hwnas.study import preview
from hwnas.training import Recipe
from tests.builders import made_up_table


@pytest.mark.usefixtures("quick_exporter", "one_thread")
def test_a_band_is_searched_its_best_network_becomes_a_hub_and_the_report_tells_the_band(tmp_path: Path) -> None:
    family = network_family("gpunet:tiny", channels=1, classes=10)
    table = made_up_table(family)
    least_ms = preview(family, table=table, also=["latency_ms"]).reaches[0].least
    band = {"min_latency_ms": 1.5 * least_ms, "latency_ms": 2 * least_ms}
    run = hwnas.search(
        table=table,
        out=tmp_path / "run",
        space="gpunet:tiny",
        data="digits",
        algorithm="la-mcts",
        limits=band,
        trials=2,
        recipe=Recipe(epochs=1),
    )
    assert all(band["min_latency_ms"] <= one.values["latency_ms"] <= band["latency_ms"] for one in run.trials())
    with pytest.raises(InfeasibleError, match=r"keeps the tier 1ns: the fastest takes \S+ ms"):
        tiers_of(run, ["1ns"])
    (tier,) = tiers_of(run, [f"{2 * least_ms!r}ms"])
    best = tier.trial.architecture.id
    assert tier.trial == run.pick("best")
    write_hub(run, [tier], {best: hwnas.export(run, best)}, tmp_path / "hub")
    index = json.loads((tmp_path / "hub" / "index.json").read_text(encoding="utf-8"))
    assert [entry["network"] for entry in index["tiers"]] == [best]
    assert (tmp_path / "hub" / index["tiers"][0]["model"]).is_file()
    assert "latency at least" in hwnas.report(run).read_text(encoding="utf-8")
