"""``hwnas predictor evaluate``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.measuring import backend_of, default_table, measured_table
from hwnas.commands.options import AsJson, Device, require_one_of
from hwnas.commands.predictions import evaluation_parts, family_of
from hwnas.commands.printing import render
from hwnas.commands.progress import ProgressForm, profile_progress

if TYPE_CHECKING:
    from hwnas.networks import NetworkFamily
    from hwnas.predictors import Evaluation
    from hwnas.study import EvaluationPlan, Run
    from latency_tables import LatencyTable
    from profilers import Backend


def evaluate(  # noqa: PLR0913, PLR0917  (each parameter is an option of the command)
    device: Device = "auto",
    table: Annotated[
        str | None,
        typer.Option(help="Latency table: a file or a shipped one's name; by default the run's, else made first."),
    ] = None,
    run: Annotated[Path | None, typer.Option(help="A run folder: its front is measured, and its space taken.")] = None,
    space: Annotated[str | None, typer.Option(help="Search space; by default the run's, else mobilenet.")] = None,
    data: Annotated[
        str | None, typer.Option(help="Data the networks are for: fixes channels and classes; by default as usual.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=4096, help="Images a run.")] = 1,
    precision: Annotated[str, typer.Option(help="fp32, fp16, bf16 or int8.")] = "fp32",
    networks: Annotated[int, typer.Option(min=3, help="Random networks to measure.")] = 100,
    rounds: Annotated[int, typer.Option(min=2, help="Passes over everything; more make a better truth.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same networks.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for evaluation.json and .html; by default the run's, or runs/evaluation."),
    ] = None,
    max_mape: Annotated[
        float | None, typer.Option(help="Status 4 where the mean error in a group is larger, for example 0.05.")
    ] = None,
    min_kendall: Annotated[
        float | None, typer.Option(help="Status 4 where Kendall's tau in a group is lower, for example 0.9.")
    ] = None,
    gate_on: Annotated[
        str, typer.Option(help="What these bounds hold for: table, as it stands, or session, calibrated anew.")
    ] = "table",
    progress: ProgressForm = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure networks the table has never seen, and say how far off their predictions are."""
    import hwnas
    from hwnas.core import VerificationError
    from hwnas.predictors import gates, write_evaluation
    from hwnas.reports import evaluation_page
    from hwnas.study import plan_evaluation
    from profilers import require_precisions

    require_one_of(gate_on, ("table", "session"), option="--gate-on")
    gates({}, estimate=gate_on, max_mape=max_mape, min_kendall=min_kendall)  # senseless bounds are refused at once
    require_precisions([precision])
    opened = hwnas.open_run(run) if run else None
    family = family_of(opened, space, data).at(batch=batch, precision=precision)
    folder = out or run or Path("runs/evaluation")
    folder.mkdir(parents=True, exist_ok=True)  # before anything is measured
    name, rows, backend = _table_to_judge(opened, family, device=device, table=table)
    plan = plan_evaluation(rows, family, table_name=name, run=opened, networks=networks, seed=seed)
    found = _measured(plan, backend, folder / "evaluation.json", rounds=rounds)
    bounds = gates(found.groups, estimate=gate_on, max_mape=max_mape, min_kendall=min_kendall)
    found = replace(found, gates=bounds)
    file = write_evaluation(found, folder / "evaluation.json")
    page = evaluation_page(found, folder / "evaluation.html")
    result = {**found.to_json(), "files": [str(file), str(page)]}
    render(result, lambda: evaluation_parts(found, page), as_json=as_json)
    missed = [str(gate) for gate in bounds if not gate.passed]
    if missed:
        raise VerificationError(f"{'; '.join(missed)}. All figures are in {file}")


def _table_to_judge(
    run: Run | None, family: NetworkFamily, *, device: str, table: str | None
) -> tuple[str, LatencyTable, Backend]:
    """The table given, the run's own, or one made now, with its name; and what measures on its very device."""
    from latency_tables import read_table, resolve
    from profilers import CampaignSettings, open_device

    if run is None and table is None:
        backend = open_device(device)
        path = default_table(backend, family)
        settings = CampaignSettings(space=family.space.name, precisions=(family.precision,))
        plain = replace(family, precision="fp32")
        return str(path), measured_table(plain, backend, path, settings=settings, batches=[family.batch]), backend
    if table is None and run is not None:
        name, rows = str(run.folder / "latency_table.jsonl"), run.table
    else:
        name, rows = str(table), read_table(resolve(str(table)))
    return name, rows, backend_of(rows, device=device, override=None)


def _measured(plan: EvaluationPlan, backend: Backend, out: Path, *, rounds: int) -> Evaluation:
    """Measures what an evaluation needs, all in the same rounds, and judges the predictor by it."""
    from datetime import datetime, timezone

    from profilers import CampaignSettings, time_networks

    settings = CampaignSettings(space=plan.family.space.name, precisions=(plan.family.precision,))
    protocol = replace(settings.protocol, rounds=rounds, most_rounds=max(rounds, settings.protocol.most_rounds))
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with profile_progress(out) as on_progress:
        timed = time_networks(
            plan.workloads(),
            backend=backend,
            out=out,
            settings=replace(settings, protocol=protocol),
            on_progress=on_progress,
        )
    return plan.judge(timed, when=when, protocol=protocol.to_json())
