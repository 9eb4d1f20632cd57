"""Errors a person can act on: a stable code, what happened, why, what to do. One line each, exit status 2.

The codes are an interface: scripts match on them, so they are only ever added.
"""

from __future__ import annotations

EXIT_THROUGH, EXIT_LOST, EXIT_ERROR, EXIT_DEPENDS, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


class CliError(Exception):
    """The question could not be put, or the host could not be read.

    ``code``  kebab-case, stable        ``what``  what happened
    ``why``   the reason, may be ""     ``todo``  what to do next
    Text may hold untrusted names raw; ``line`` makes them harmless.
    """

    def __init__(self, code: str, what: str, why: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.code, self.what, self.why, self.todo = code, what, why, todo

    def line(self) -> str:
        """``pktdiag: CODE: what: why; todo`` on exactly one line."""
        text = self.what + (f": {self.why}" if self.why else "") + (f"; {self.todo}" if self.todo else "")
        return f"pktdiag: {self.code}: {_harmless(text)}"


def _harmless(text: str) -> str:
    from pktdiag.render.safe import text as safe
    return safe(text).replace("\n", " ")


def near(word: str, candidates: list[str], limit: int = 3) -> str:
    """``did you mean web1 or web2?`` from the candidates like ``word``; "" when none is."""
    import difflib
    found = difflib.get_close_matches(word, candidates, limit, 0.55)
    found += [c for c in candidates if word and word in c and c not in found][: max(0, limit - len(found))]
    return f"did you mean {' or '.join(found)}?" if found else ""
