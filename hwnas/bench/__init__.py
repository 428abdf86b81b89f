"""Benchmarks of searchers: problems with known answers, and what algorithms find in them.

- ``catalog``: the problems by name; ``tables``, ``models`` and ``functions`` make them, of what ``problem`` says.
- ``benching``: many runs in a folder, resumable and in parallel; ``running`` makes one, by its ``settings``.
- ``summary``: what they tell together; ``files`` writes it. The page is made by ``hwnas.reports``.
"""

from hwnas.bench.benching import Bench, BenchProgress, bench
from hwnas.bench.catalog import PROBLEMS, open_problem
from hwnas.bench.files import level_name, to_json, write_figures
from hwnas.bench.problem import BenchProblem, Report
from hwnas.bench.running import Ask, BenchRun, first_designs, run_once, searcher_of
from hwnas.bench.settings import BenchSettings
from hwnas.bench.summary import AlgorithmSummary, BenchSummary, SignTest, sign_test, summarize

__all__ = [
    "PROBLEMS",
    "AlgorithmSummary",
    "Ask",
    "Bench",
    "BenchProblem",
    "BenchProgress",
    "BenchRun",
    "BenchSettings",
    "BenchSummary",
    "Report",
    "SignTest",
    "bench",
    "first_designs",
    "level_name",
    "open_problem",
    "run_once",
    "searcher_of",
    "sign_test",
    "summarize",
    "to_json",
    "write_figures",
]
