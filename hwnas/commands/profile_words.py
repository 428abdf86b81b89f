"""What ``hwnas profile`` and ``hwnas doctor`` say to people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latency_tables import LatencyTable


def space_parts(result: Mapping[str, Any], table: LatencyTable, path: Path, options: str) -> list[Any]:
    """What a table of a space holds and is worth, and the command that searches with it."""
    from rich.markup import escape

    where = f"{result['device_name']} ({result['provider']})"
    parts: list[Any] = [f"{path}: {result['kernels']} kernels on {where}, {result['noisy_kernels']} of them noisy."]
    for setting in result["settings"]:
        seen, error = setting["coverage"], setting["prediction_error"]
        covered = f"{seen['complete_networks']} of {seen['networks']} fresh networks are covered"
        sure = "" if error is None else f"; predictions for whole networks are off by {error:.1%} (standard deviation)"
        parts.append(f"batch {setting['batch']}, {setting['precision']}: {covered}{sure}.")
        if setting["fallbacks"]:
            listed = ", ".join(f"{count} {name}" for name, count in setting["fallbacks"].items())
            parts.append(f"Note: not everything ran in {setting['precision']} here; in another type: {listed}.")
    for name, found in (("Steps in", result["steps"]), ("Cheaper multiples of", result["favoured_multiples"])):
        listed = "; ".join(f"{key.partition(':')[0]}: {number}" for key, number in found.items() if number > 1)
        if listed:
            parts.append(f"{name} output channels: {listed}.")
    drift = table.manifest.conditions.get("restless_share")
    if isinstance(drift, float) and drift > 0.2:
        parts.append(f"The machine was restless in {drift:.0%} of the measurements; these were repeated or left out.")
    if table.manifest.device == "gpu" and table.manifest.fingerprint.get("cuda_graph") is False:
        parts.append("The host's launches are part of these figures; --cuda-graph measures the device alone.")
    if any((setting["batch"], setting["precision"]) == (1, "fp32") for setting in result["settings"]):
        parts.append(f"Next: hwnas search --target latency {options} --table {path}")
    return [escape(part) for part in parts]


def model_parts(result: Mapping[str, Any], *, most: int = 30) -> list[Any]:
    """The kernels of a model with their costs, the longest first, and what they add up to."""
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    table = Table("latency", "share", "memory", "type", title=Text(str(result["model"])))
    table.add_column("kernel", overflow="fold")  # a key cut short is no key
    for kernel in result["kernels"][:most]:
        cost = "unmeasured" if kernel["latency_ms"] is None else f"{kernel['latency_ms']:.4g} ms"
        flag = "" if kernel["noise"] != "noisy" else " (noisy)"
        share = "" if kernel["share"] is None else f"{kernel['share']:.1%}"
        memory = "" if kernel["memory_mib"] is None else f"{kernel['memory_mib']:.3g} MiB"
        table.add_row(cost + flag, share, memory, kernel["arithmetic"], Text(kernel["key"]))
    more = len(result["kernels"]) - most
    sure = "" if result.get("uncertainty") is None else f" ± {result['uncertainty']:.1%}"
    verdict = (
        f"{result['model']} on {result['device_name']} ({result['runtime']}, {result['provider']}): "
        f"{result['latency_ms']:.4g} ms{sure}; kernels {result['kernels_sum_ms']:.4g} ms and call "
        f"{result['floor_ms']:.4g} ms make {result['sum_over_whole']:.1%} of it."
    )
    notes = [escape(f"Note: {note}.") for note in result["notes"]]
    return [table, *([f"… and {more} more; --json lists them all."] if more > 0 else []), escape(verdict), *notes]


def diagnosis_parts(diagnosis: Mapping[str, Any]) -> list[Any]:
    """The checks of a machine, what ``--device auto`` takes, and whether it is fit to measure."""
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    table = Table(title="hwnas doctor")
    for name in ("check", "status", "found", "cure"):
        table.add_column(name, overflow="fold")
    for check in diagnosis["checks"]:
        table.add_row(*(Text(check[name] or "") for name in ("name", "status", "found", "cure")))
    fit = diagnosis["fit_to_measure"]
    verdict = "fit to measure" if fit else "not fit to measure: " + "; ".join(diagnosis["reasons"])
    return [table, f"--device auto takes the {diagnosis['device'].upper()}. This machine is {escape(verdict)}."]
