"""The best network of each latency tier, with an index that people and programs read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas.core import InfeasibleError, Trial, UsageError
from hwnas.exports.bundles.bundle import provenance, write_bundle
from hwnas.exports.bundles.engines import EngineMaker, read_engine
from hwnas.exports.bundles.folders import whole_folder
from hwnas.exports.exporting import Exported
from hwnas.objectives import Bound, parse_quantity
from hwnas.study import Run
from hwnas.study.measuring import Doubts


@dataclass(frozen=True, kw_only=True)
class Tier:
    """A limit on the latency, and the most accurate network of a run that keeps it.

    Attributes:
        name: As it was asked for, such as ``"2ms"``.
        limit_ms: The limit.
        trial: The network.
    """

    name: str
    limit_ms: float
    trial: Trial


def tiers_of(run: Run, names: Sequence[str], *, doubts: Doubts | None = None) -> list[Tier]:
    """The most accurate network of the front for each limit, the tightest limit first.

    Args:
        run: The run.
        names: Limits, such as ``"500us"``.
        doubts: Measures networks that may miss a limit within the error of their prediction, so that another one is
            taken in the place of those that do.

    Raises:
        UsageError: A limit is none, or there is none at all, or no trial has ended.
        InfeasibleError: The run has no network that keeps a limit.
    """
    limits = {name: parse_quantity(name, unit="ms") for name in names}
    if not limits:
        raise UsageError("expected latency tiers such as 1ms,2ms, received none")
    run.pick("fastest")  # refuses a run without a trial
    front = run.front()
    by_accuracy = sorted(front, key=lambda trial: (-trial.values["accuracy"], trial.values["latency_ms"]))
    found = []
    for name, limit_ms in sorted(limits.items(), key=lambda entry: entry[1]):
        best = next((trial for trial in by_accuracy if _keeps(run, trial, limit_ms, doubts)), None)
        if best is None:
            fastest_ms = min(_latency_ms(run, trial) for trial in front)
            raise InfeasibleError(
                f"no network of {run.folder} keeps the tier {name}: the fastest takes {fastest_ms:.4g} ms. Leave the "
                "tier out, or search with --max-latency",
                nearest={"latency_ms": fastest_ms},
            )
        found.append(Tier(name=name, limit_ms=limit_ms, trial=best))
    return found


def _keeps(run: Run, trial: Trial, limit_ms: float, doubts: Doubts | None) -> bool:
    bound = Bound(cost="latency_ms", value=limit_ms)
    if doubts is not None and _latency_ms(run, trial) <= limit_ms:
        doubts.settle(trial.architecture, [bound])
    return _latency_ms(run, trial) <= limit_ms


def _latency_ms(run: Run, trial: Trial) -> float:
    """As it was measured in the meantime, else as the trial has it."""
    measured = run.measured.latencies.get(trial.architecture.id)
    return trial.values["latency_ms"] if measured is None else measured[0]


def write_hub(
    run: Run,
    tiers: Sequence[Tier],
    exported: Mapping[str, Exported],
    folder: Path,
    *,
    force: bool = False,
    engines: EngineMaker | None = None,
) -> dict[str, Any]:
    """Writes a bundle for each network, ``index.json`` and ``README.md``.

    Args:
        run: The run.
        tiers: From ``tiers_of``.
        exported: Architecture id to its export; a tier whose network is not among them is left out.
        folder: Where.
        force: Whether a hub that is there is replaced.
        engines: Makes a TensorRT engine for each bundle; without it there are none.

    Returns:
        The index.

    Raises:
        UsageError: The folder exists.
        OSError: It cannot be written.
    """
    kept = [tier for tier in tiers if tier.trial.architecture.id in exported]
    with whole_folder(folder, force=force) as made:
        for found in {tier.trial.architecture.id: tier for tier in kept}:
            write_bundle(run, exported[found], made / exported[found].pick, engines=engines)
        index = {
            "schema": "hwnas-hub",
            "schema_version": 1,
            "provenance": provenance(run),
            "tiers": [_entry(made, tier, exported[tier.trial.architecture.id]) for tier in kept],
            "failed": [tier.name for tier in tiers if tier not in kept],
        }
        (made / "index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        (made / "README.md").write_text(_page(index), encoding="utf-8")
    return index


def _entry(hub: Path, tier: Tier, exported: Exported) -> dict[str, Any]:
    card = exported.card
    measured_ms = card["latency"].get("measured_ms")
    made = (read_engine(hub / exported.pick) or {}).get("file")
    return {
        "tier": tier.name,
        "limit_ms": tier.limit_ms,
        "network": card["id"],
        "folder": exported.pick,
        "model": f"{exported.pick}/model.onnx",
        "engine": None if made is None else f"{exported.pick}/{made}",
        "sha256": card["files"][f"{exported.pick}.onnx"],
        "precision": card["precision"],
        "accuracy": card["accuracy"],
        "searched_latency_ms": tier.trial.values["latency_ms"],
        "latency": card["latency"],
        "keeps_limit": None if measured_ms is None else measured_ms <= tier.limit_ms,
    }


def _page(index: Mapping[str, Any]) -> str:
    about = index["provenance"]
    words = {True: "yes", False: "no", None: "not measured"}
    lines = []
    for entry in index["tiers"]:
        measured_ms = entry["latency"].get("measured_ms")
        measured = "" if measured_ms is None else f"{measured_ms:.4g}"
        lines.append(
            f"| {entry['tier']} | [{entry['network']}]({entry['folder']}/README.md) | {entry['precision']} | "
            f"{entry['accuracy']['test']:.2%} | {measured} | {words[entry['keeps_limit']]} |"
        )
    return (
        f"# Networks by latency\n\nFor `{about['data']}` on {about['device_name']} ({about['runtime']}), from the "
        f"space `{about['space']}`. All figures are from `index.json`.\n\n"
        "| tier | network | precision | accuracy on test images | measured, ms | keeps the tier |\n"
        "| --- | --- | --- | --- | --- | --- |\n" + "\n".join(lines) + "\n"
    )
