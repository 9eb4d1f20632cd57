"""Parses a command line that is plainly right, without importing a parser.

It takes an argv only when there is no doubt how Typer would read it; everything else (help, abbreviations, mistakes,
``--``) returns None, and Typer decides and explains.
"""

from __future__ import annotations

from pktdiag.cli.options import COMMANDS, FLAG, INT, TOGGLE, Command, Option, defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def parse(argv: list[str]) -> tuple[Command, dict[str, Any]] | None:
    """The command and its values by dest, as Typer would find them; None: not for the fast lane."""
    if not argv:
        return None
    for command in COMMANDS:
        if command.name == argv[0]:
            break
    else:
        return None
    names = {"--" + option.name: option for option in command.options}
    values = defaults(command)
    words: list[str] = []
    rest = iter(argv[1:])
    for token in rest:
        if not token.startswith("-") or token == "-":
            words.append(token)
            continue
        name, equals, text = token.partition("=")
        option = names.get(name)
        if option is None:
            if equals or not name.startswith("--no-"):
                return None
            option = names.get("--" + name[5:])
            if option is None or option.kind != TOGGLE:
                return None
            values[option.dest] = False
        elif option.kind in (FLAG, TOGGLE):
            if equals:
                return None
            values[option.dest] = True
        else:
            if not equals:
                text = next(rest, "-?")
                if text.startswith("-") and text != "-":
                    return None
            if not _take(option, text, values):
                return None
    if words:
        if not command.words:
            return None
        values["words"] = words
    return command, values


def _take(option: Option, text: str, values: dict[str, Any]) -> bool:
    """Stores the value; False when it is not one this parser is sure of."""
    if option.kind == INT:
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            return False
        values[option.dest] = int(text)
    else:
        values[option.dest] = text
    return True
