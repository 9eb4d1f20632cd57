"""``completion``: prints the script a shell needs; nothing is installed."""

from __future__ import annotations

import os
import sys
from typing import Any

from pktdiag.cli.errors import CliError

SHELLS = ("bash", "zsh", "fish")


def run(values: dict[str, Any]) -> int:
    words = values["words"]
    shell = words[0] if words else os.path.basename(os.environ.get("SHELL", ""))
    if shell not in SHELLS or len(words) > 1:
        raise CliError("unknown-shell", f"no completion for {shell or 'an unknown shell'!r}", "", f"name one of {', '.join(SHELLS)}")
    from typer.completion import get_completion_script
    sys.stdout.write(get_completion_script(prog_name="pktdiag", complete_var="_PKTDIAG_COMPLETE", shell=shell) + "\n")
    return 0
