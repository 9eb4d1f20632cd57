"""``completion``: prints the script a shell needs; nothing is installed."""

from __future__ import annotations

import os
import sys

from pktdiag.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SHELLS = ("bash", "zsh", "fish")


def run(values: dict[str, Any]) -> int:
    words = values["words"]
    shell = words[0] if words else os.path.basename(os.environ.get("SHELL", ""))
    if shell not in SHELLS or len(words) > 1:
        raise CliError("unknown-shell", f"no completion for {shell or 'an unknown shell'!r}", "", f"name one of {', '.join(SHELLS)}")
    import typer.completion as scripts
    make = scripts.get_completion_script  # type: ignore[attr-defined]  # not exported by name, yet what --show-completion uses
    text: str = make(prog_name="pktdiag", complete_var="_PKTDIAG_COMPLETE", shell=shell)
    sys.stdout.write(text + "\n")
    return 0
