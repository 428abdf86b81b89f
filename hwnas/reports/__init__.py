"""The report: what a run found, as one page that works offline.

- ``html``: the verb ``report``, which fills ``page.html`` (what all pages begin with in ``head.html``, style in
  ``style.html``, repeated parts in ``parts.html``).
- ``watching``: the same again and again while a search runs.
- ``files``: its figures as files.
- ``numbers``, ``trials``, ``architectures``: every figure of the page, collected once.
- ``cards``: what is known of the exported networks.
- ``commands``: the command lines that make the run again.
- ``evaluations``: how good the predictions are, as a part of that page or as a page of its own.
- ``partition``: the partition that a search has learned, in figures and as a picture.
- ``comparing``, ``compared``, ``comparison_page``: runs side by side.
- ``bench_page``: the page of a benchmark of searchers.
- ``front``, ``parallel``, ``figures``, ``trainings``, ``spending``, ``scatter``, ``bench_curves``: the other drawings;
  ``drawing`` and ``svg`` make them part of a page, ``thinning`` says how much of a long search they show.
- ``templates``: how templates are read.
- ``formats``: figures as people read them.
"""

from hwnas.reports.bench_page import bench_page
from hwnas.reports.compared import Comparison
from hwnas.reports.comparing import compare
from hwnas.reports.comparison_page import comparison_page
from hwnas.reports.evaluations import evaluation_page
from hwnas.reports.html import report
from hwnas.reports.watching import Watched, watch

__all__ = [
    "Comparison",
    "Watched",
    "bench_page",
    "compare",
    "comparison_page",
    "evaluation_page",
    "report",
    "watch",
]
