"""Making the next image: see ``image``. Imported by runs that save one.

Code is compiled for the image from a pruned syntax tree (``image_pruning``), without columns in its line tables. That takes a
second or two for the whole package, so what the present image has is taken from there, unless a source has changed.
"""

from __future__ import annotations

import os
import sys
from marshal import dumps

from pktdiag.image import PATH, STAMP, Image, fresh, stub_number

PIECE = 16
"""So many modules share their names; read and run before the next so many, they leave the memory of their bytes to these:
180 page faults less, 0.3 ms, than when all were read first."""
LESSONS = 8
"""A track that so many runs have added to is begun anew: it would go on growing by whatever was asked once."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

    from pktdiag.image import Entry, Stamp


def save(image: Image) -> None:
    """Writes the next image, if it may."""
    temporary = f"{PATH}.{os.getpid()}"
    try:
        data = _Making(image).data()
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, PATH)
    except (OSError, SyntaxError, ValueError, EOFError):  # no room, no right, a source that is being written, an image that is not whole
        return


class _Making:
    def __init__(self, image: Image) -> None:
        self._image = image
        self._index, taught = image.tail()
        self._taught = dict(taught)
        self._chunks: list[bytes] = []
        self._offset = 0
        self._behind: dict[tuple[str, str], int] = {}
        self._needs: dict[str, tuple[str, ...]] = {}

    def data(self) -> bytes:
        codes: dict[str, CodeType] = {}
        index: dict[str, Entry] = {}
        known = self._index if all(fresh(entry[0]) for entry in self._index.values()) else {}
        tracks = self._tracks()
        warm = frozenset().union(*(called for _, called in self._taught.values()))
        for name in dict.fromkeys((*self._index, *self._image.missed)):
            if name in known:
                stamp, *_, self._needs[name] = known[name]
                codes[name] = self._whole(self._image.get_code(name))
            else:
                made = self._compiled(name) if not name.startswith("pktdiag.image_") else None
                if made is None:
                    continue
                stamp, codes[name] = made
            index[name] = (stamp, *self._put(dumps(self._frozen(name, codes[name], warm))), self._needs[name])
        pieces = {}
        for command, names in tracks.items():
            track, called = self._in_order(names), self._taught[command][1]
            stamps = tuple(index[name][0] for name in track)
            frozen = [self._frozen(name, codes[name], called) for name in track]
            parts = (tuple(frozen[at : at + PIECE]) for at in range(0, len(frozen), PIECE))
            pieces[command] = (self._put(dumps(stamps)), *(self._put(dumps(part)) for part in parts))
        rest = self._put(dumps((index, self._taught)))
        head = dumps((STAMP, self._offset, pieces, _extensions(), rest))
        return len(head).to_bytes(4, "big") + head + b"".join(self._chunks)

    def _put(self, data: bytes) -> tuple[int, int]:
        self._chunks.append(data)
        self._offset += len(data)
        return self._offset - len(data), len(data)

    def _tracks(self) -> dict[str, list[str]]:
        """Every command's modules; what this run used is added to its own command's. A module that came from its source has
        imported what annotations alone need: the next run tells."""
        image = self._image
        command, missed = image.command, set(image.missed)
        tracks = {command: [stamp[0] for stamp in image.stamps(command)] for command in image.tracks if command in self._taught}
        if command:
            lessons, called = self._taught.get(command, (0, frozenset()))
            if lessons < LESSONS:
                tracks.setdefault(command, []).extend(name for name in sys.modules if name in self._index and name not in missed)
                self._taught[command] = lessons + 1, called.union(image.thawed)
            else:
                tracks.pop(command, None)
                self._taught.pop(command)
        return tracks

    def _in_order(self, names: list[str]) -> tuple[str, ...]:
        wanted, done = set(names), dict[str, None]()

        def add(name: str) -> None:
            if name in wanted and name in self._needs:
                wanted.remove(name)
                for other in self._needs[name]:
                    add(other)
                done[name] = None

        for name in names:
            add(name)
        return tuple(done)

    def _compiled(self, name: str) -> tuple[Stamp, CodeType] | None:
        """A module's stamp and pruned code; None when there is no such source."""
        import ast

        from pktdiag.image_pruning import imported, pruned, source

        found = source(name)
        if found is None:
            return None
        path, before = found  # a source changed since it was read has a stamp of its own next time
        with open(path, encoding="utf-8") as file:
            tree = pruned(ast.parse(file.read(), path))
        self._needs[name] = tuple(imported(name, tree))
        code = compile(tree, path, "exec", dont_inherit=True)
        return (name, path.endswith("/__init__.py"), before.st_mtime_ns, before.st_size, code.co_filename), _without_columns(code)

    def _frozen(self, module: str, code: CodeType, warm: frozenset[tuple[str, str]], path: str = "") -> CodeType:
        """The code with stubs in place of functions that are not ``warm``: nobody has called them."""
        seen: set[str] = set()
        twice = {const.co_name for const in _inner(code) if const.co_name in seen or seen.add(const.co_name)}  # type: ignore[func-returns-value]
        consts: list[object] = []
        for const in code.co_consts:
            if not hasattr(const, "co_code"):
                consts.append(const)
                continue
            name = f"{path}{const.co_name}"
            if not const.co_flags & 1:  # CO_OPTIMIZED: a function; the rest are the bodies of classes
                const = self._frozen(module, const, warm, f"{name}.")
            elif const.co_name.isidentifier() and const.co_name not in twice and not const.co_freevars and \
                    (module, name) not in warm and code.co_flags & 1 == 0 and len(const.co_code) > 60:
                const = self._stub(module, name, const)
            consts.append(const)
        return code.replace(co_consts=tuple(consts))

    def _whole(self, code: CodeType) -> CodeType:
        """Code out of the present image, without stubs."""
        consts: list[object] = []
        for const in code.co_consts:
            if hasattr(const, "co_code") and not const.co_flags & 1:
                const = self._whole(const)
            elif hasattr(const, "co_code") and stub_number(const) >= 0:
                const = self._image.behind(stub_number(const))[2].replace(co_filename=const.co_filename)
            consts.append(const)
        return code.replace(co_consts=tuple(consts))

    def _stub(self, module: str, name: str, code: CodeType) -> CodeType:
        number = self._behind.get((module, name))
        if number is None:
            behind = dumps((module, name, code))
            number = self._behind[module, name] = self._put(len(behind).to_bytes(4, "big") + behind)[0]
        return _STUB.replace(co_consts=(*_STUB.co_consts[:-1], number), co_filename=code.co_filename, co_firstlineno=code.co_firstlineno)


def _template() -> CodeType:
    """Its number is its last constant (``image.stub_number``)."""
    source = "def stub(*positional, **named): return __thaw__(1234567, positional, named)"
    return next(_inner(compile(source, "", "exec", dont_inherit=True))).replace(co_name="<stub>")


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (const for const in code.co_consts if hasattr(const, "co_code"))


def _extensions() -> dict[str, str]:
    """Python's own C modules that this run has loaded, and where from."""
    from importlib.machinery import ExtensionFileLoader

    loaded = ((name, getattr(module, "__spec__", None)) for name, module in sys.modules.items())
    return {name: spec.origin for name, spec in loaded
            if spec is not None and isinstance(spec.loader, ExtensionFileLoader) and spec.origin and name.startswith("_")}


def _without_columns(code: CodeType) -> CodeType:
    """Line tables keep their lines alone (Objects/locations.md: entries of kind 13 have no columns, of kind 15 no place)."""
    consts = tuple(_without_columns(const) if hasattr(const, "co_code") else const for const in code.co_consts)
    if sys.version_info < (3, 11):
        return code.replace(co_consts=consts)
    table = bytearray()
    before = code.co_firstlineno
    for start, end, line in code.co_lines():
        units = (end - start) // 2
        while units > 0:
            count = min(units, 8)
            table.append(0x80 | (15 if line is None else 13) << 3 | count - 1)
            if line is not None:
                delta = line - before
                value = delta << 1 if delta >= 0 else -delta << 1 | 1
                while value > 63:
                    table.append(0x40 | value & 63)
                    value >>= 6
                table.append(value)
                before = line
            units -= count
    return code.replace(co_consts=consts, co_linetable=bytes(table))


_STUB = _template()
