"""The code of the modules that runs need, in one file: ``__pycache__/image.TAG``.

A trace needs some 150 small modules; finding, opening and checking as many ``.pyc`` files takes longer than the walk.
Here one read brings them all, and a module is unmarshalled when it is imported. The image learns: a run that had to
import a module the ordinary way leaves a new image behind, if it may write there. It is never needed and never wrong:
every module's source is compared (mtime and size, as Python compares its ``.pyc`` files) before its code is used.
"""

from __future__ import annotations

import os
import sys
from marshal import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
else:
    from _frozen_importlib import ModuleSpec

FOLDER = __file__.rpartition("/")[0] or "."
PATH = f"{FOLDER}/__pycache__/image.{sys.implementation.cache_tag}"
_STAMP = f"2 {sys.version} {FOLDER}"
"""Format, interpreter, place: code of another one is not ours."""


class Image:
    """A finder and loader of ``sys.meta_path`` (see importlib.abc)."""

    def __init__(self, data: bytes) -> None:
        self._index: dict[str, tuple[int, int, bool, int, int]] = {}
        """Module: offset, length, whether it is a package, its source's mtime (ns) and size."""
        self.missed: list[str] = []
        """Modules of ours that had to be found the ordinary way."""
        length = int.from_bytes(data[:4], "big")
        self._data = memoryview(data)[4 + length:]
        """Behind the index: offsets count from here."""
        try:
            stamp, index = loads(data[4:4 + length])
        except (ValueError, EOFError, TypeError):
            return
        if stamp == _STAMP:
            self._index = index

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith("pktdiag."):
            return None
        entry = self._index.get(name)
        if entry is not None:
            source = _source(name, entry[2])
            try:
                found = os.stat(source)
            except OSError:
                return None
            if found.st_mtime_ns == entry[3] and found.st_size == entry[4]:
                spec = ModuleSpec(name, self, origin=source, is_package=entry[2])  # type: ignore[arg-type]  # no base class needed
                if entry[2]:
                    spec.submodule_search_locations = [source.rpartition("/")[0]]
                return spec
        self.missed.append(name)
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """As Python would make it."""

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None and spec.origin is not None
        module.__file__ = spec.origin
        exec(self.get_code(spec.name), module.__dict__)

    def get_code(self, name: str) -> CodeType:
        offset, length = self._index[name][:2]
        code: CodeType = loads(self._data[offset:offset + length])
        return code

    def learn(self) -> None:
        """Saves what this run missed. Not being able to is no error."""
        self.missed = [name for name in self.missed if name in sys.modules]
        if self.missed and not sys.dont_write_bytecode and "PYTHONDONTWRITEBYTECODE" not in os.environ:
            self._save()

    def _save(self) -> None:
        temporary = f"{PATH}.{os.getpid()}"
        try:
            with open(temporary, "wb") as file:
                file.write(self._renewed())
            os.replace(temporary, PATH)
        except OSError:
            return

    def _renewed(self) -> bytes:
        """The next image: what is still right of this one, and what was missed."""
        made: list[tuple[str, bool, int, int, bytes]] = []
        for name, (offset, length, is_package, mtime, size) in self._index.items():
            if name not in self.missed:
                made.append((name, is_package, mtime, size, bytes(self._data[offset:offset + length])))
        for name in self.missed:
            spec = getattr(sys.modules.get(name), "__spec__", None)
            if spec is None or spec.origin is None or not hasattr(spec.loader, "get_code"):
                continue
            before = os.stat(spec.origin)  # a source changed since it was imported has a stamp of its own next time
            code = spec.loader.get_code(name)
            made.append((name, spec.submodule_search_locations is not None, before.st_mtime_ns, before.st_size, dumps(code)))
        index, offset = {}, 0
        for name, is_package, mtime, size, code in made:
            index[name] = (offset, len(code), is_package, mtime, size)
            offset += len(code)
        head = dumps((_STAMP, index))
        return len(head).to_bytes(4, "big") + head + b"".join(entry[4] for entry in made)


def _source(name: str, is_package: bool) -> str:
    return f"{FOLDER}/{name[8:].replace('.', '/')}{'/__init__.py' if is_package else '.py'}"


def install() -> Image:
    """Puts the image before Python's own finders."""
    try:
        with open(PATH, "rb", 0) as file:
            image = Image(file.read())
    except OSError:
        image = Image(b"")
    sys.meta_path.insert(0, image)
    return image
