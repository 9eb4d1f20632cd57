"""Runs one parsed command and turns whatever comes out of it into an exit status.

Kept apart from ``app`` so that the fast lane never imports Typer.
"""

from __future__ import annotations

import os
import sys
from errno import EDQUOT, EFBIG, EIO, ENOSPC, EPIPE

from pktdiag.cli.errors import EXIT_ERROR, EXIT_INTERRUPTED, CliError
from pktdiag.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REPORT_TO = "report it with the command line and the output of PKTDIAG_DEBUG=1"
_FULL = (ENOSPC, EDQUOT, EFBIG, EIO)
EXIT_SIGPIPE = 141
"""128 + SIGPIPE: what a shell shows for a program whose reader went away."""


def execute(command: Command, values: dict[str, Any]) -> int:
    """Runs the command; returns its exit status. Never raises for a foreseen error."""
    module, _, function = command.run.partition(":")
    try:
        run = getattr(__import__(module, fromlist=[function]), function)
        status: int = run(values)
        sys.stdout.flush()
        return status
    except CliError as error:
        return complain(error.line())
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (EPIPE, *_FULL) and error.filename is None:
            return unwritable(error)
        return _unforeseen(error)


def unwritable(error: OSError) -> int:
    """Standard output takes no more. Nothing is said to a reader that went away, and no later flush tries again."""
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    if error.errno == EPIPE:
        return EXIT_SIGPIPE
    return complain(CliError("cannot-write", "the answer could not be written", os.strerror(error.errno or 0)).line())


def complain(line: str) -> int:
    """One line on standard error."""
    try:
        sys.stdout.flush()
        print(line, file=sys.stderr)
    except OSError:
        pass
    return EXIT_ERROR


def _unforeseen(error: Exception) -> int:
    """The last resort: an Unreadable nobody made a condition of, or a mistake of ours. One line, no traceback."""
    if os.environ.get("PKTDIAG_DEBUG"):
        import traceback
        traceback.print_exc()
    from pktdiag.model.view import Unreadable
    if isinstance(error, Unreadable):
        gap = error.gap
        where = f" of {gap.netns}" if gap.netns else ""
        return complain(CliError("unreadable", f"cannot read {gap.what}{where}", gap.why, gap.remedy).line())
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f" (in {os.path.basename(frame.tb_frame.f_code.co_filename)}:{frame.tb_lineno})" if frame else ""
    return complain(CliError("internal-error", f"{what}{place}", "this is a mistake in pktdiag", REPORT_TO).line())
