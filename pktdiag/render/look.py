"""How text is laid out: width, colour, wrapping. Small on purpose: importing rich costs more than the whole answer."""

from __future__ import annotations

import sys

from pktdiag.model.record import NamedTuple

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Look(NamedTuple):
    """What the reader's screen can show."""

    width: int = 80
    color: bool = False
    unicode: bool = True

    def paint(self, text: str, *styles: str) -> str:
        """``text`` with terminal styles; itself where colour is off. ``text`` must be safe already."""
        if not self.color or not text:
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"

    def wrap(self, text: str, indent: int, first: int | None = None, style: str = "") -> list[str]:
        """Lines of at most ``width`` columns, indented by ``indent`` (the first line by ``first``); a word that is longer
        stays whole, so that it can be copied. ``text`` must be safe already."""
        pad, room = " " * indent, max(20, self.width - indent)
        lines: list[str] = []
        line = ""
        for word in text.split():
            if line and len(line) + 1 + len(word) > room:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        if line or not lines:
            lines.append(line)
        painted = [pad + (self.paint(text, style) if style else text) for text in lines]
        if first is not None:
            painted[0] = " " * first + painted[0][indent:]
        return painted

    def labelled(self, label: str, text: str, indent: int = 2, column: int = 12, style: str = "") -> list[str]:
        """``  label     text`` with the text wrapped beside its label."""
        lines = self.wrap(text, column, style=style)
        head = " " * indent + self.paint(label, "dim")
        gap = max(1, column - indent - len(label))
        lines[0] = head + " " * gap + lines[0][column:]
        return lines


def for_stream(stream: object) -> Look:
    """The look for an output stream: colour only on a terminal that wants it (https://no-color.org), width from the
    terminal, 80 columns when piped."""
    from os import get_terminal_size
    isatty = getattr(stream, "isatty", None)
    tty = bool(isatty and isatty())
    width = 80
    if _variable("COLUMNS").isdigit():
        width = int(_variable("COLUMNS"))
    elif tty:
        try:
            width = get_terminal_size(stream.fileno()).columns  # type: ignore[attr-defined]
        except OSError:
            width = 80
    color = tty and not _variable("NO_COLOR") and _variable("TERM") != "dumb"
    encoding = (getattr(stream, "encoding", "") or "").lower().replace("-", "")
    return Look(max(40, min(width, 200)), color, encoding.startswith("utf"))


def _variable(name: str) -> str:
    """A variable of the environment, "" where there is none: from ``os.environ`` if somebody has needed ``os``, otherwise from
    the bytes that it is made of."""
    if "os" in sys.modules:
        import os
        return os.environ.get(name, "")
    from posix import environ
    return environ.get(name.encode(), b"").decode(errors="replace")
