"""How the program ends: one message and an exit status, whatever happened."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import make_dataclass
from typing import Any

import typer

from hwnas.commands.printing import Remarks, form, say

EXIT_FAULT, EXIT_USAGE, EXIT_ENVIRONMENT = 1, 2, 3
INTERRUPTED = 130  # what newer versions of typer turn Ctrl-C into; here it is a fault like any other end before the end


def ended(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Runs a command line; an error is one message and an exit status.

    Args:
        app: The commands.
        arguments: The words after the program's name; with ``--debug``, here or as ``HWNAS_DEBUG``, errors are raised.

    Returns:
        The exit status.
    """
    debug = "--debug" in arguments or bool(os.environ.get("HWNAS_DEBUG"))
    told = form.set("auto")  # until the options are read
    remarks, speaking = Remarks(), [logging.getLogger(name) for name in ("profilers", "hwnas")]
    for logger in speaking:
        logger.addHandler(remarks)
    try:
        return _parse_and_run(app, [word for word in arguments if word != "--debug"])
    except KeyboardInterrupt:
        return _stopped()
    except Exception as error:  # the last line of defence: whatever it is, a user's terminal sees one message
        if debug:
            raise
        return _explain(error)
    finally:
        for logger in speaking:
            logger.removeHandler(remarks)
        form.reset(told)


def _parse_and_run(app: typer.Typer, arguments: list[str]) -> int:
    status = int(app(arguments, standalone_mode=False) or 0)
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    return status


def _stopped() -> int:
    """Says that the user ended it; returns the exit status, and sees to it that it counts under ``python -m`` too.

    CPython notes a Ctrl-C that leaves code compiled from a string, as the making of every dataclass is; at its end it
    then kills itself by that signal, although the interrupt was handled and the status is another. The next code from
    a string that comes to its end, so the making of one more dataclass, clears the note.
    """
    say("Stopped; the same command goes on where it was.")
    make_dataclass("Cleared", ())
    return EXIT_FAULT


def _explain(error: Exception) -> int:
    """Prints what went wrong; returns the exit status."""
    if isinstance(error, typer.Abort):
        return _stopped()
    if hasattr(error, "format_message"):  # wrong usage: click's own class in older versions of typer, a copy in newer
        say(f"Error: {_usage(error)}. `hwnas --help` and `hwnas COMMAND --help` say what there is.")
        return EXIT_USAGE
    status = getattr(type(error), "exit_code", None)
    if status is not None:
        say(f"Error: {error}")
        return int(status)
    if isinstance(error, OSError):
        cause = error.strerror or error
        say(f"Error: cannot use {error.filename or 'a file'}: {cause}. Mend it or choose another path.")
        return EXIT_ENVIRONMENT
    say(f"Error: an unforeseen {type(error).__name__}: {error}. Run again with --debug and report what it prints.")
    return EXIT_FAULT


def _usage(error: Any) -> str:
    """The message of a usage error, beginning with the option it is about."""
    message = str(error.format_message()).rstrip(".")
    names = getattr(getattr(error, "param", None), "opts", None)
    return f"{names[0]}: {message}" if names and names[0] not in message else message
