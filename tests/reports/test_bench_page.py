"""The page of a benchmark: one file, nothing from elsewhere, every figure in words."""

from __future__ import annotations

import re
from pathlib import Path

from hwnas.reports import bench_page
from tests.bench.test_summary import made_up


def test_the_page_holds_curves_and_tables_and_asks_nothing_of_the_network(tmp_path: Path) -> None:
    page = bench_page(made_up(), tmp_path / "bench.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 4  # two drawings in two shapes
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    for words in ("hwnas bench branin-currin", "good", "bad", "42.50 ± 17.50", "1 of 2", "&gt;4", "By another figure"):
        assert words in page
    assert page.index(">good</th>") < page.index(">bad</th>")
    assert 'aria-label="Hypervolume [% of the best known] against evaluations' in page
    assert bench_page(made_up(), tmp_path / "again.html").read_text(encoding="utf-8") == page
