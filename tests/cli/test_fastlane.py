"""The two parsers made from one table read a command line alike, whenever the small one dares to read it at all."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pktdiag.cli import app, fastlane, options
from pktdiag.cli.options import COMMANDS, FLAG, INT, TOGGLE


def typer_reads(argv: list[str]) -> tuple[str, dict[str, Any]] | None:
    """(command, values) as the Typer application would run them; None when it would not run any."""
    seen: list[tuple[str, dict[str, Any]]] = []

    def record(command: options.Command, values: dict[str, Any]) -> int:
        seen.append((command.name, values))
        return 0

    with mock.patch.object(app, "execute", record):
        try:
            app.build()(argv, prog_name="pktdiag", standalone_mode=False)
        except Exception:
            return None
    return seen[0] if seen else None


WORDS = st.sampled_from(["10.0.0.5:80/udp", "web1", "::1", "[2001:db8::5]:443", "host", "", "-", "ns:a", "--", "-h", "--help", "x y",
                         "5", "-5"])
VALUES = st.one_of(WORDS, st.sampled_from(["0", "64", "007", "+3", " 4", "1_0", "0x10", "9" * 20, "\u0663", "a=b", "=", "--json"]))


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    command = draw(st.sampled_from(COMMANDS))
    argv = [command.name]
    for _ in range(draw(st.integers(0, 5))):
        if not command.options or draw(st.integers(0, 3)) == 0:
            argv.append(draw(WORDS))
            continue
        option = draw(st.sampled_from(command.options))
        flag = "--" + option.name
        if option.kind == FLAG:
            argv.append(flag)
        elif option.kind == TOGGLE:
            argv.append(draw(st.sampled_from([flag, "--no-" + option.name])))
        elif draw(st.booleans()):
            argv += [flag, draw(VALUES)]
        else:
            argv.append(f"{flag}={draw(VALUES)}")
    if draw(st.integers(0, 9)) == 0:
        argv.append(draw(st.sampled_from(["--jso", "--no-json", "--no-mark", "--df=1", "--json=", "-j", "--unknown"])))
    return argv


@settings(max_examples=400, deadline=None)
@given(command_lines())
@example(["trace", "--from-log", "-", "--df"])
@example(["trace", "a", "--mark", "0x1", "b", "--ttl=7", "--no-df"])
@example(["why-dropped", "--for", "2s"])
@example(["trace", "--ttl", "1_0", "x"])
@example(["topology", "x"])
def test_both_parsers_agree(argv: list[str]) -> None:
    quick = fastlane.parse(argv)
    if quick is not None:
        command, values = quick
        assert typer_reads(argv) == (command.name, values)


@pytest.mark.parametrize("argv", [
    ["trace", "10.0.0.1:80"], ["trace", "a", "b:53/udp", "--json", "--ttl", "3"], ["why-dropped"], ["why-dropped", "--for", "2s"],
    ["topology", "--format", "dot"], ["counters", "--all", "--ns", "web"], ["hooks"], ["demo"],
], ids=" ".join)
def test_plain_command_lines_take_the_fast_lane(argv: list[str]) -> None:
    assert fastlane.parse(argv) is not None


@pytest.mark.parametrize("argv", [
    [], ["--help"], ["trace", "--help"], ["trace", "-h"], ["trac"], ["trace", "--ttl", "x"], ["trace", "--mark"], ["trace", "--", "a"],
    ["topology", "word"], ["--version"],
], ids=" ".join)
def test_doubtful_ones_are_left_to_typer(argv: list[str]) -> None:
    assert fastlane.parse(argv) is None


def test_every_option_has_help_and_a_kind() -> None:
    for command in COMMANDS:
        for option in command.options:
            assert option.help.endswith("."), option
            assert option.kind in (options.TEXT, INT, FLAG, TOGGLE)
