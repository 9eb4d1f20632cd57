"""The code of the modules that runs need, in one file: ``__pycache__/image.TAG-VERSION``.

A trace needs some 150 small modules; finding, opening, checking and importing them one by one takes longer than the walk.
The image keeps for every command a *track*: the modules its runs needed, each behind those it imports, so that one
read and one loop bring them all, past Python's import machinery. A function that no run has called so far is a stub
that fetches its code when it is called; other modules are read when they are imported. What a run that gave an answer had to
fetch beyond its track, it adds to the next image (``image_making``), if it may write there; what a mistyped one had to (Typer, near
matches) would be read by every run to come. The image is never needed and never wrong: every module's source is compared (mtime and
size, as Python compares its ``.pyc`` files) before its code is used.
"""

import posix  # `os` brings abstract base classes that few runs need: 1 ms
import sys
from marshal import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ExtensionFileLoader, ModuleSpec
    from types import CodeType, FunctionType, ModuleType
    from typing import Any

    Stamp = tuple[str, bool, int, int, str]
    """Module, whether it is a package, its source's mtime (ns), size and path."""
    Entry = tuple[Stamp, int, int, tuple[str, ...]]
    """Stamp, offset and length of a module's code, the modules it imports as it runs."""
    Lessons = tuple[int, frozenset[tuple[str, str]]]
    """How many runs have added to a track since it was begun; the functions (module, qualified name) that were called."""
else:
    from _frozen_importlib import ModuleSpec
    from _frozen_importlib_external import ExtensionFileLoader

    ModuleType = type(sys)

FOLDER = __file__.rpartition("/")[0] or "."
PATH = f"{FOLDER}/__pycache__/image.{sys.implementation.cache_tag}-{sys.hexversion:x}"
STAMP = f"10 {sys.version} {sys.flags.optimize} {FOLDER}"
"""Format (another one with every change to how code is compiled for the image), interpreter, place: code of another is not ours."""
FAILED = (2, 130)
"""Statuses of runs that gave no answer: bad input, Ctrl-C (``cli.errors``)."""
STRAY = 4
"""So many modules or functions beyond the track are worth a new image: each costs every later run some 30 µs."""


class Modules(dict):  # type: ignore[type-arg]  # a subscript costs start-up
    """Modules by name; one that is not there yet is imported. The image's code takes from it what it imports from ours."""

    def __missing__(self, name: str) -> "ModuleType":
        __import__(name)
        found = self[name] = sys.modules[name]
        return found


class Image:
    """A finder and loader of ``sys.meta_path`` (see importlib.abc)."""

    def __init__(self, descriptor: int) -> None:
        self._file = descriptor
        self._base = 0
        self.tracks: dict[str, tuple[tuple[int, int], ...]] = {}
        """Command: offset and length of its pieces: the stamps of its modules, then their codes, some modules' in each."""
        self._rest = (0, 0)
        self._tail: Any = None
        self._modules = Modules()
        self.missed: list[str] = []
        """Modules of ours that had to be found the ordinary way."""
        self.strays: list[str] = []
        """Modules taken from the image, but not with the track."""
        self.thawed: list[tuple[str, str]] = []
        """Functions behind stubs that were called: module, qualified name."""
        self.extensions: dict[str, str] = {}
        """Where Python's own C modules are, to spare a search along sys.path."""
        self.command = ""
        if descriptor < 0:
            return
        try:
            length = int.from_bytes(posix.pread(descriptor, 4, 0), "big")
            stamp, size, *rest = loads(posix.pread(descriptor, length, 4))
            if stamp == STAMP and posix.fstat(descriptor).st_size == 4 + length + size:
                self._base = 4 + length
                self.tracks, self.extensions, self._rest = rest
        except (OSError, ValueError, EOFError, TypeError):
            pass

    def tail(self) -> "tuple[dict[str, Entry], dict[str, Lessons]]":
        """What few runs need, read when first asked for: modules, and by command what its runs have taught."""
        if self._tail is None:
            self._tail = loads(self.piece(*self._rest)) if self._rest[1] else ({}, {})
        known: tuple[Any, Any] = self._tail
        return known

    # -- a whole command at once ---------------------------------------------------------------------------------------
    def run_track(self, command: str) -> None:
        """Imports what runs of this command need, all or nothing: a module whose source has changed may import others than
        before, so then Python's own order counts."""
        self.command = command
        if command not in self.tracks:
            return
        try:
            stamps = self.stamps(command)
        except (OSError, ValueError, EOFError, TypeError):
            return
        modules = sys.modules
        for stamp in stamps:
            if stamp[0] in modules or not fresh(stamp):
                return
        made = []
        try:
            # Every module is there before the first one runs: packages import their own parts, which import the package.
            for stamp in stamps:
                name = stamp[0]
                modules[name] = self._modules[name] = module = ModuleType(name)
                module.__loader__, module.__file__ = self, stamp[4]  # type: ignore[assignment]  # a loader by its methods
                made.append(module)
            for stamp, module in zip(stamps, made):
                above, _, last = stamp[0].rpartition(".")
                setattr(modules[above], last, module)
                if stamp[1]:  # only packages are asked for a specification: where their parts are
                    module.__spec__ = spec = self._spec(stamp)
                    module.__package__, module.__path__ = stamp[0], spec.submodule_search_locations  # type: ignore[assignment]
                else:
                    module.__package__ = above
            waiting = iter(made)
            for piece in self.tracks[command][1:]:  # run before the next is read, which takes over the memory
                for code in loads(self.piece(*piece)):
                    self.fill(next(waiting), code)
        except Exception:
            for stamp in stamps:
                modules.pop(stamp[0], None)
            self._modules.clear()

    # -- one module at a time ------------------------------------------------------------------------------------------
    def find_spec(self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None) -> "ModuleSpec | None":
        if not name.startswith("pktdiag."):
            return self._extension(name) if name in self.extensions else None
        entry = self.tail()[0].get(name)
        if entry is None or not fresh(entry[0]):
            self.missed.append(name)
            return None
        return self._spec(entry[0])

    def _extension(self, name: str) -> "ModuleSpec | None":
        path = self.extensions[name]
        try:
            posix.stat(path)
        except OSError:
            return None
        return ModuleSpec(name, ExtensionFileLoader(name, path), origin=path)

    def _spec(self, stamp: "Stamp") -> "ModuleSpec":
        name, is_package, _, _, source = stamp
        spec = ModuleSpec(name, self, origin=source, is_package=is_package)  # type: ignore[arg-type]  # no base class needed
        if is_package:
            spec.submodule_search_locations = [source.rpartition("/")[0]]
        return spec

    def create_module(self, spec: "ModuleSpec") -> None:
        """As Python would make it."""

    def exec_module(self, module: "ModuleType") -> None:
        spec = module.__spec__
        assert spec is not None and spec.origin is not None
        module.__file__ = spec.origin
        self.strays.append(spec.name)
        self.fill(module, self.get_code(spec.name))

    def fill(self, module: "ModuleType", code: "CodeType") -> None:
        names = module.__dict__
        names["__thaw__"], names["__modules__"], names["__tuple__"] = self.thaw, self._modules, tuple.__new__
        exec(code, names)

    def get_code(self, name: str) -> "CodeType":
        """OSError, ValueError, EOFError: the image is not whole."""
        offset, length = self.tail()[0][name][1:3]
        code: CodeType = loads(self.piece(offset, length))
        return code

    def stamps(self, command: str) -> "tuple[Stamp, ...]":
        """Those of a track's modules."""
        stamps: tuple[Stamp, ...] = loads(self.piece(*self.tracks[command][0]))
        return stamps

    def piece(self, offset: int, length: int) -> bytes:
        return posix.pread(self._file, length, self._base + offset)

    # -- one function at a time ----------------------------------------------------------------------------------------
    def thaw(self, number: int, positional: "tuple[Any, ...]", named: "dict[str, Any]") -> "Any":
        """The first call of a stub: gives the function its own code and calls it."""
        module, name, code = self.behind(number)
        function = _function(module, name, number)
        if stub_number(function.__code__) == number:  # another thread may have been here
            self.thawed.append((module, name))
            function.__code__ = code
        return function(*positional, **named)

    def behind(self, number: int) -> "tuple[str, str, CodeType]":
        """What a stub stands for: module, qualified name and code; at ``number``, behind four bytes of length."""
        found: tuple[str, str, CodeType] = loads(self.piece(number + 4, int.from_bytes(self.piece(number, 4), "big")))
        return found

    # -- for the next run ----------------------------------------------------------------------------------------------
    def learn(self, status: int) -> None:
        """Saves what this run missed. Not being able to is no error."""
        self.missed = [name for name in self.missed if name in sys.modules]
        if not self._teaches(status):
            self.strays, self.thawed, self.command = [], [], ""
        if (self.missed or len(self.strays) >= STRAY or len(self.thawed) >= STRAY) and not sys.dont_write_bytecode \
                and b"PYTHONDONTWRITEBYTECODE" not in posix.environ and posix.access(PATH.rpartition("/")[0], posix.W_OK):
            from pktdiag.image_making import save
            save(self)

    def _teaches(self, status: int) -> bool:
        """Whether later runs of this command will need what this one did; ``status`` is what it ends with."""
        if self.command == "--help":
            return True
        modules = sys.modules
        return status not in FAILED and "pktdiag.cli.app" not in modules and "pktdiag.cli.options" in modules and \
            any(command.name == self.command for command in modules["pktdiag.cli.options"].COMMANDS)


def fresh(stamp: "Stamp") -> bool:
    """Whether the source is the one that the code was made of."""
    try:
        found = posix.stat(stamp[4])
    except OSError:
        return False
    return found.st_mtime_ns == stamp[2] and found.st_size == stamp[3]


def stub_number(code: "CodeType") -> int:
    """Which function a stub's code stands for, by where its own code is; -1: it is no stub."""
    return code.co_consts[-1] if code.co_name == "<stub>" else -1


def _function(module: str, name: str, number: int) -> "FunctionType":
    """The function that holds a stub: under its name, or wherever it has gone since."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    found = getattr(found, "fget", None) or getattr(found, "__func__", found)  # property, staticmethod
    if stub_number(getattr(found, "__code__", _function.__code__)) == number:
        return found  # type: ignore[no-any-return]
    from gc import get_objects

    for one in get_objects():
        if type(one) is type(_function) and stub_number(one.__code__) == number:
            return one  # type: ignore[return-value]
    raise RuntimeError(f"{module}.{name} is not there")


class LateSite:
    """The last of the finders, where Python runs without ``site``: what nobody found may lie in site-packages."""

    def find_spec(self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None) -> "ModuleSpec | None":
        from importlib.machinery import PathFinder

        if self in sys.meta_path:
            sys.meta_path.remove(self)
            from site import main

            main()
        return PathFinder.find_spec(name, path, target)


def install() -> Image:
    """Puts the image before Python's own finders."""
    try:
        image = Image(posix.open(PATH, posix.O_RDONLY | posix.O_CLOEXEC))
    except OSError:
        image = Image(-1)
    sys.meta_path.insert(0, image)
    return image
