"""The shape of the house: its top level, its public names, and what must not stand anywhere in it."""

from __future__ import annotations

import ast
import graphlib
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("hwnas", "profilers", "latency_tables")
TOP_LEVEL = {
    "hwnas", "profilers", "latency_tables", "tests", "cli", "pyproject.toml", "README.md", "CHANGELOG.md",
    "CONTRIBUTING.md", "LICENSE", "Makefile", "constraints.txt", "docs", "benchmarks", "examples", ".ci", ".github",
    ".gitignore", ".pre-commit-config.yaml",
}  # fmt: skip

PUBLIC = {
    "hwnas": {"export", "load_data", "network_family", "open_run", "report", "search"},
    "profilers": {
        "DEVICES", "METHODS", "Backend", "BackendSettings", "CampaignError", "CampaignSettings", "Check", "Coverage",
        "DeviceEngines", "DeviceError", "DeviceMemoryError", "DeviceMeter", "Diagnosis", "KernelShare",
        "MeasuredLatency",
        "MeasuringProtocol", "ModelError", "ModelProfile", "OnnxRuntimeBackend", "OnnxWorkload", "PluginError",
        "ProfilerError", "Progress", "Reference", "RunPlan", "TimedNetwork", "Workload", "converted", "coverage",
        "device_lease",
        "examine", "open_device", "open_device_of", "profile", "profile_model", "recover", "require_precisions",
        "time_networks", "OpenedModel", "method_of", "model_kernels", "open_model",
    },
    "latency_tables": {
        "BlockRow", "Convolution", "Coordinates", "FieldChange", "Finding", "FloorRow", "Json", "KernelKey",
        "KernelRow", "Tensor", "attribute_numbers", "read_block", "read_kernel",
        "LatencyChange", "LatencyTable", "Manifest", "MissingExtraError", "MissingRowError", "NetworkRow", "Row",
        "RowChange", "ShippedTable", "Spread", "StepRow", "TableDiff", "TableError", "TableFormatError",
        "TableMismatchError", "Timing", "UnknownTableError", "alignment", "card", "convolution", "diff_tables", "dumps",
        "fingerprint_sha256", "flat_rows", "keyed", "loads", "merge_tables", "open_shipped", "overview", "ranked",
        "read_manifest", "read_table", "require_writable", "resolve", "row_to_json", "shipped", "snapped", "split",
        "table_sha256", "validate", "widened", "write_atomically", "write_csv", "write_parquet", "write_table",
    },
    "profilers.backends": {
        "METHODS", "Backend", "BackendSettings", "BlockTimes", "Compiling", "Engine", "InPlace", "Inspection",
        "IsolatedKernel", "Isolating",
        "Method", "OnnxRuntimeBackend", "ProfiledRuns", "RunPlan", "TimedRuns", "run_block",
    },
    "profilers.devices": {
        "PROVIDERS_OF_INTEREST", "ClockLock", "ClockReading", "ClockWatch", "CpuDescription", "EnergyReading",
        "EnergyUnknown", "GpuDescription", "GpuReport", "ProviderDescription", "RuntimeDescription",
        "TensorRtDescription", "describe_cpu", "describe_gpus", "describe_onnxruntime", "describe_tensorrt",
        "energy_meter", "locked_clocks", "measure_energy",
    },
    "profilers.precision": {
        "PRECISIONS", "arithmetic", "fallbacks", "precision_of", "unsupported_op", "with_precision",
    },
}  # fmt: skip

SOURCES = sorted(file for package in ("cli", *PACKAGES) for file in (ROOT / package).rglob("*.py"))


def package_of(init: Path) -> str:
    return ".".join(init.parent.relative_to(ROOT).parts)


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()


def test_the_top_level_holds_what_was_agreed_and_nothing_else() -> None:
    assert {Path(name).parts[0] for name in tracked()} <= TOP_LEVEL


@pytest.mark.parametrize("package", list(PUBLIC))
def test_public_names_are_pinned_and_there(package: str) -> None:
    module = importlib.import_module(package)
    assert set(module.__all__) == PUBLIC[package]
    assert len(module.__all__) == len(set(module.__all__))
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("init", [file for file in SOURCES if file.name == "__init__.py"], ids=package_of)
def test_a_package_gives_what_it_promises_and_its_page_of_contents_is_complete(
    init: Path,
) -> None:
    module = importlib.import_module(package_of(init))
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None
    _, found, contents = (module.__doc__ or "").partition("Contents:\n")
    if found:
        listed = re.findall(r"^ {4}(\w+): ", contents, flags=re.MULTILINE)
        modules = {file.stem for file in init.parent.glob("*.py")} - {"__init__", "__main__"}
        assert sorted(listed) == sorted(modules)


def test_the_verbs_are_functions_whatever_was_imported_first() -> None:
    script = "import hwnas.exports, hwnas.reports, hwnas.study.searching, hwnas\n"
    script += "print(all(type(getattr(hwnas, n)).__name__ == 'function' for n in hwnas.__all__))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize("package", [*PACKAGES, "hwnas.core", "hwnas.spaces", "hwnas.pareto"])
def test_light_packages_stay_light(package: str) -> None:
    heavy = ("torch", "optuna", "onnxruntime", "matplotlib")
    script = f"import sys, {package}\nprint([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def imported(file: Path, modules: set[str]) -> set[str]:
    """Modules of the house that a file imports anywhere in it, inside of functions and for types alone, too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{name.name}" for name in node.names]
            found |= {name if name in modules else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found & modules


def test_no_module_imports_itself_by_way_of_others() -> None:
    files = {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in SOURCES}
    graph = {name: imported(file, set(files)) - {name} for name, file in files.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises with the circle


def called(tree: ast.AST) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_source_prints_pickles_or_touches_process_wide_randomness(file: Path) -> None:
    calls = called(ast.parse(file.read_text(encoding="utf-8")))
    forbidden = {
        *("print", "eval", "exec", "pickle.load", "pickle.loads", "torch.load"),
        *("torch.manual_seed", "random.seed", "random.random", "np.random.seed", "np.random.rand"),
    }
    assert not calls & forbidden


@pytest.mark.parametrize("package", PACKAGES)
def test_every_error_of_a_package_knows_its_base_class(package: str) -> None:
    errors = importlib.import_module({"hwnas": "hwnas.core"}.get(package, package))
    base = {"hwnas": "HwnasError", "profilers": "ProfilerError", "latency_tables": "TableError"}[package]
    root = getattr(errors, base)
    leaves = [value for name in errors.__all__ if isinstance(value := getattr(errors, name), type)
              and issubclass(value, Exception)]  # fmt: skip
    assert len(leaves) > 2
    assert all(issubclass(leaf, root) for leaf in leaves)
