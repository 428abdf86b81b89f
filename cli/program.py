"""The program: its commands, in the order in which help lists them, and how it ends."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.delivering import export, verify
from cli.evaluating import evaluate
from cli.predicting import predict
from cli.profiling import doctor, profile, recover
from cli.searching import search
from hwnas.commands.adapting import adapt, choose
from hwnas.commands.benching import bench
from hwnas.commands.comparing import compare
from hwnas.commands.endings import ended
from hwnas.commands.reporting import report
from hwnas.commands.systems import systems
from hwnas.commands.tables import table_app

app = typer.Typer(
    name="hwnas",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=(
        "Hardware-aware neural architecture search: profile a device, search on it, take home verified ONNX.\n\n"
        "Exit status: 0 done, 1 a fault or stopped, 2 wrong usage or an infeasible limit, 3 something is missing on "
        "this machine, 4 an exported network or a prediction failed its checks. Add --debug to any command for the "
        "traceback of an error."
    ),
)
predictor_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Predict latencies on a device without a table, or say how good predictions are.",
)
app.add_typer(table_app, name="table")
app.add_typer(predictor_app, name="predictor")

for verb in (profile, search, predict, export, verify, report, compare, bench, systems, doctor):
    app.command()(verb)
for judged in (evaluate, choose, adapt):
    predictor_app.command()(judged)
table_app.command()(recover)


@app.callback(invoke_without_command=True)
def _top(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        import hwnas

        typer.echo(hwnas.__version__)
        raise typer.Exit


def main() -> None:
    """Runs the command line; an error is one message and an exit status, its traceback only with ``--debug``."""
    sys.exit(ended(app, sys.argv[1:]))
