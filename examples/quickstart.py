"""The main job in Python: profile this machine, search on it, take home verified ONNX."""

import sys
from pathlib import Path

import hwnas
import profilers


def main(folder: Path, *, space: str = "mobilenet", trials: int = 24) -> None:
    family = hwnas.network_family(space)  # grey images, ten classes: the handwritten digits
    device = profilers.open_device("cpu")
    table = profilers.profile(family.workloads(), family.references(), backend=device, out=folder / "table.jsonl")
    run = hwnas.search(table=table, space=space, data="digits", trials=trials, out=folder / "run")
    for trial in run.front():
        print(f"{trial.architecture.id}  {trial.values['accuracy']:.1%}  {trial.values['latency_ms']:.4f} ms")
    done = hwnas.export(run, "knee", meter=profilers.DeviceMeter(backend=device))
    print(f"{done.model}: {done.card['latency']}")
    print(hwnas.report(run))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/quickstart"))
