"""The report: what a run found, as one page that works offline.

- ``html``: the verb ``report``, which fills ``page.html`` (style in ``style.html``, repeated parts in ``parts.html``).
- ``numbers``: every figure of the page, collected once.
- ``cards``: what is known of the exported networks.
- ``commands``: the command lines that make the run again.
- ``figures``: the drawings; ``svg`` makes them part of a page.
- ``formats``: figures as people read them.
"""

from hwnas.reports.html import report

__all__ = ["report"]
