"""The command line: parse, call one function of a library, render.

This is the only place where ``hwnas`` and ``profilers`` meet: the commands that need a device stand here, the others,
and what all of them share, in ``hwnas.commands``. Heavy imports stand inside the commands, so that ``--help`` answers
at once.

Contents:
    delivering: ``hwnas export`` and ``hwnas verify``.
    evaluating: ``hwnas predictor evaluate``.
    measuring: the tables that commands go by, and what measures on their devices.
    predicting: ``hwnas predict``.
    profiling: ``hwnas profile``, ``hwnas table recover`` and ``hwnas doctor``.
    program: the commands in their order, put together.
    searching: ``hwnas search``.
"""

from cli.program import app, main

__all__ = ["app", "main"]
