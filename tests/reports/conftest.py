"""Runs with made-up values: the real record, table and folder, no training."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwnas.core import Architecture, Proposal
from hwnas.networks import NetworkFamily, network_family
from hwnas.reports import report
from hwnas.study import Run, RunSettings, open_run
from hwnas.study.folders import begin_run
from hwnas.training import Recipe
from latency_tables import BlockRow, KernelRow, LatencyTable, Manifest, NetworkRow, Row, Timing, table_sha256

SPACE = "mobilenet:tiny"
ACCURACIES = (0.91, 0.86, 0.95, 0.7, 0.93, 0.97)
MANIFEST = Manifest(
    device="cpu",
    device_name="Test device",
    runtime="onnxruntime",
    runtime_version="1.0.0",
    provider="CPUExecutionProvider",
    threads=1,
    precisions=("fp32",),
    batches=(1,),
    space=SPACE,
    protocol={"name": "made-up/1", "rounds": 3},
    fingerprint={"cpu": "Test device", "governor": None},
    created="2026-01-01T00:00:00+00:00",
    conditions={"round_slowdown": [1.0, 1.01]},
)


def _timing(latency_ms: float, *, noisy: bool = False) -> Timing:
    return Timing(
        latency_ms=latency_ms,
        min_ms=latency_ms,
        median_ms=latency_ms,
        iqr_ms=latency_ms / 50,
        n=90,
        noise="noisy" if noisy else "ok",
    )


def architectures(n: int, *, seed: int = 0) -> list[Architecture]:
    """Different architectures, the same every time."""
    space, rng = network_family(SPACE).space, np.random.default_rng(seed)
    found: dict[str, Architecture] = {}
    while len(found) < n:
        drawn = space.sample(rng)
        found[drawn.id] = drawn
    return list(found.values())


def _rows(family: NetworkFamily) -> Iterator[Row]:
    """A kernel a block, its time a little more than proportional to its size; and whole networks near their sums."""
    blocks = {block.key: block for a in family.design.covering() for block in family.blocks(a)}
    times = {key: 2e-3 + 2e-7 * block.macs for key, block in blocks.items()}
    for index, key in enumerate(sorted(blocks)):
        yield KernelRow(key=f"Fake({key})", timing=_timing(times[key], noisy=index < 2), provider=MANIFEST.provider)
        yield BlockRow(key=key, kernels={f"Fake({key})": 1})
    for index, architecture in enumerate(architectures(12, seed=1)):
        keys = family.block_keys(architecture)
        slowed = 1.02 + 0.02 * (index % 3)
        yield NetworkRow(
            key=architecture.id, blocks=Counter(keys), timing=_timing(slowed * sum(times[key] for key in keys))
        )


@pytest.fixture(scope="session")
def table() -> LatencyTable:
    """Every block of the space."""
    return LatencyTable.from_rows(MANIFEST, _rows(network_family(SPACE)))


@pytest.fixture
def drawn() -> Callable[[int], list[Architecture]]:
    """Draws different architectures, the first ones of ``add_trials`` first."""
    return architectures


@contextmanager
def runs_in(parent: Path, table: LatencyTable, *, journal: bool = True) -> Iterator[Callable[..., Run]]:
    """What begins runs in a folder; whatever is given replaces a setting.

    Their records are journal files beside them, which are written several times as fast as SQLite's; or else SQLite's.
    """
    made: list[Run] = []

    def make(*, device_name: str = "Test device", folder: str = "run", **changes: Any) -> Run:
        named = replace(table, manifest=replace(table.manifest, device_name=device_name))
        settings = RunSettings(
            space=SPACE,
            data="digits",
            data_sha256="d" * 64,
            channels=1,
            classes=10,
            targets=("latency",),
            algorithm="lamoo",
            trials=6,
            recipe=Recipe(),
            table_sha256=table_sha256(named),
        )
        reference = {"accuracy": 0.1, "latency_ms": 0.5, "flops_m": 10.0, "params_m": 1.0}
        settings = replace(settings, **changes)
        names = [
            "accuracy",
            *({"latency": "latency_ms", "flops": "flops_m", "params": "params_m"}[t] for t in settings.targets),
        ]
        known = {name: reference[name] for name in names}
        storage = f"journal:{parent / folder}.log" if journal else None
        run = begin_run(parent / folder, settings, named, known, storage=storage)
        made.append(run)
        return run

    yield make
    for run in made:
        run.record.close()


@pytest.fixture
def make_run(tmp_path: Path, table: LatencyTable) -> Iterator[Callable[..., Run]]:
    """Begins runs; whatever is given replaces a setting."""
    with runs_in(tmp_path, table) as make:
        yield make


def begin_trial(run: Run, architecture: Architecture, **why: Any) -> int:
    """Enters a trial as running."""
    known = {name: float(values[0]) for name, values in run.costs.values([architecture]).items()}
    return run.record.begin(Proposal(architecture=architecture, why={"inner": "initial", **why}), known)


def enter_trials(run: Run, accuracies: Sequence[float]) -> None:
    """Enters finished trials with the accuracies given."""
    for index, (architecture, accuracy) in enumerate(zip(architectures(len(accuracies)), accuracies, strict=True)):
        why = {"region": "+-", "bound": 0.0308, "visits": 5} if index >= 3 else {}
        number = begin_trial(run, architecture, **why)
        known = {name: float(values[0]) for name, values in run.costs.values([architecture]).items()}
        run.record.finish(number, {**known, "accuracy": accuracy, "train_s": 0.1})


@pytest.fixture
def begin() -> Callable[..., int]:
    """Enters a trial as running."""
    return begin_trial


@pytest.fixture
def add_trials() -> Callable[[Run, Sequence[float]], None]:
    """Enters finished trials with the accuracies given."""
    return enter_trials


_PARITY = {
    "samples": 64,
    "max_abs": 1e-6,
    "max_rel": 1e-5,
    "top1_agreement": 1.0,
    "tolerance_abs": 1e-4,
    "passed": True,
}


def card_of(run: Run, pick: str, **changes: Any) -> dict[str, Any]:
    """The card an export of a pick writes."""
    trial = run.pick(pick)
    latency_ms = trial.values["latency_ms"]
    card: dict[str, Any] = {
        "pick": pick,
        "trial": trial.number,
        "id": trial.architecture.id,
        "architecture": dict(trial.architecture),
        "exporter": "dynamo",
        "opset": 18,
        "accuracy": {"search_validation": trial.values["accuracy"], "validation": 0.981, "test": 0.9794},
        "recipe": {"epochs": 12},
        "costs": {"latency_ms": latency_ms, "latency_spread_ms": 0.1 * latency_ms, "flops_m": 1.2, "params_m": 0.1},
        "parity": _PARITY,
        "latency": {
            "predicted_ms": latency_ms,
            "measured_ms": 1.04 * latency_ms,
            "median_ms": 1.05 * latency_ms,
            "iqr_ms": 0.02 * latency_ms,
            "n": 300,
            "provider": "CPUExecutionProvider",
            "device_speed": 1.02,
            "ratio": 1.04,
            "tolerance": 0.25,
            "passed": True,
        },
        "files": {f"{pick}.onnx": "a" * 64, f"{pick}.safetensors": "b" * 64},
    }
    return {**card, **changes}


@pytest.fixture
def make_card() -> Callable[..., Mapping[str, Any]]:
    """Makes cards."""
    return card_of


@pytest.fixture(scope="session")
def six_trials(table: LatencyTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of six trials; copy it."""
    with runs_in(tmp_path_factory.mktemp("six"), table) as make:
        made = make()
        enter_trials(made, ACCURACIES)
    return made.folder


@pytest.fixture
def run(six_trials: Path, tmp_path: Path) -> Iterator[Run]:
    opened = open_run(shutil.copytree(six_trials, tmp_path / "run"))
    yield opened
    opened.record.close()


@pytest.fixture
def exported(run: Run) -> Run:
    """The run with its knee exported and checked, and its fastest too slow."""
    folder = run.folder / "models"
    folder.mkdir()
    (folder / "knee.json").write_text(json.dumps(card_of(run, "knee")))
    slow = dict(card_of(run, "fastest")["latency"]) | {"ratio": 1.6, "passed": False, "device_speed": None}
    (folder / "fastest.json").write_text(json.dumps(card_of(run, "fastest", latency=slow)))
    return run


_VOID = {"meta", "link", "br", "path", "circle", "rect", "use", "img"}


class Page(HTMLParser):
    """Reads a page and complains of tags that do not nest.

    Attributes:
        source: The page as it is written.
        opened: Every element: tag and attributes, in order.
        words: All text outside style and script.
    """

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = source
        self.opened: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._stack: list[str] = []
        self.feed(source)
        self.close()
        assert self._stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self._stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._stack):
            self.words += data

    def having(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """Attributes of the elements of a kind, those only that have the attributes given."""
        return [
            found
            for name, found in self.opened
            if name == tag and all(found.get(k) == v for k, v in attributes.items())
        ]

    @property
    def said(self) -> str:
        """The text with all white space made plain."""
        return re.sub(r"\s+", " ", self.words)

    def points(self, cost: str, kind: str) -> set[int]:
        """Trials drawn as a kind of point in the wide drawing of a figure."""
        name = {"latency_ms": "latency", "flops_m": "flops", "params_m": "parameters"}[cost]
        pattern = re.compile(rf"front-{name}-wide-t(\d+)")
        found = [one for tag in ("g", "a") for one in self.having(tag, **{"class": f"point {kind}"})]
        return {int(match[1]) for entry in found if (match := pattern.fullmatch(str(entry["id"])))}


@pytest.fixture
def read() -> Callable[[Run], Page]:
    """Writes the report of a run and reads it."""
    return lambda run: Page(report(run).read_text(encoding="utf-8"))
