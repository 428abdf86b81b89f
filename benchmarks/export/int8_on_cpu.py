"""The front of a run in 8-bit integers on this CPU: speed-up and accuracy, all networks timed in one interleaved run.

Every network of the front is trained fully, exported in float32 and in 8-bit integers with ranges from the run's own
training images, and both files are timed side by side, in shuffled rounds. Give a run of your own, for example

    hwnas search --data cifar10-small --target latency --trials 12 --epochs 4 --out runs/int8
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import hwnas
from hwnas.core import VerificationError
from hwnas.exports import ExportSettings, export, read_card
from profilers import OnnxWorkload, open_device, time_networks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a search")
    arguments = parser.parse_args()
    run = hwnas.open_run(arguments.run)
    cards, workloads = {}, []
    for trial in run.front():
        for precision in ("fp32", "int8"):
            settings = ExportSettings(precision=precision)
            name = settings.name(trial.architecture.id)
            try:
                export(run, trial.architecture.id, settings=settings)
            except VerificationError as error:
                print(f"LOOK {error}")
            cards[trial.architecture.id, precision] = read_card(run, name)
            model = (run.folder / "models" / f"{name}.onnx").read_bytes()
            workloads.append(OnnxWorkload(name=name, model=model, parts={}))
        print(f"exported {trial.architecture.id}", flush=True)
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        timed = time_networks(workloads, backend=open_device("cpu"), out=Path(folder, "timed"))
    print(
        f"{'network':14}{'fp32 ms':>10}{'int8 ms':>10}{'speed-up':>10}{'fp32 test':>11}{'int8 test':>11}  left in float"
    )
    for trial in run.front():
        name = trial.architecture.id
        before, after = (timed[ExportSettings(precision=p).name(name)].row.timing for p in ("fp32", "int8"))
        card, plain = cards[name, "int8"] or {}, cards[name, "fp32"] or {}
        conversion = card["conversion"]
        doubt = "" if "noisy" not in {before.noise, after.noise} else " (noisy)"
        print(
            f"{name:14}{before.latency_ms:>10.4f}{after.latency_ms:>10.4f}"
            f"{before.latency_ms / after.latency_ms:>9.2f}x{plain['accuracy']['test']:>11.2%}"
            f"{card['accuracy']['test']:>11.2%}  {len(conversion['kept'])} of {conversion['nodes']} nodes{doubt}"
        )


if __name__ == "__main__":
    main()
