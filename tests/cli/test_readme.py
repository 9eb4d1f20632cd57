"""What the README shows is what the program says."""

from __future__ import annotations

import re
import shlex

from pktdiag.cli.fastlane import parse
from pktdiag.cli.options import COMMANDS

from .conftest import ROOT, pktdiag

README = (ROOT / "README.md").read_text()


def test_the_options_are_those_of_help() -> None:
    shown = re.search(r"```text\n(.*?)```", README, re.S)
    assert shown is not None
    told = pktdiag("trace", "--help", COLUMNS="80").stdout
    options = told[told.index("Options:") + len("Options:"):told.index("-h, --help")]
    assert shown.group(1).split() == options.split()


def test_every_command_line_shown_is_understood() -> None:
    block = README[README.index("## On call"):].split("```")[1]
    lines = [line.split(" #")[0] for line in re.findall(r"^pktdiag (.*)$", block, re.M)]
    assert len(lines) >= 7
    for line in lines:
        assert parse(shlex.split(line)) is not None, line


def test_every_command_is_mentioned() -> None:
    for command in COMMANDS:
        assert re.search(rf"pktdiag {command.name}\b", README), command.name
