"""Taking from a module's syntax tree what only readers and type checkers look at, and saying the rest in a way that starts
quicker: see ``image_making``.

- no docstrings, no annotations, nothing under ``TYPE_CHECKING``, no imports for annotations alone (a name that stands nowhere in
  its module is kept: others may look for it there); a protocol is an empty class and becomes ``object``;
- ``from pktdiag.x import y`` becomes ``y = __modules__["pktdiag.x"].y``: Python 3.11's statement asks each module that is no
  package for a ``__path__``, and makes two exceptions of the answer;
- ``os.read`` becomes ``posix.read`` where both are the same object, so that a run without ``os.path`` or ``os.environ`` never
  imports ``os`` and the abstract base classes behind it (1 ms); ``struct`` becomes the C module behind it;
- ``errno.ENOENT`` becomes its number;
- a record becomes the plain subclass of ``tuple`` that ``model.record`` would have made of it, constructor and all.
"""

from __future__ import annotations

import ast
import errno
import os
import posix
from functools import cache

from pktdiag.image import FOLDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def source(name: str) -> tuple[str, os.stat_result] | None:
    """Where a module of ours is, and its source's stat; None when there is no such source."""
    base = f"{FOLDER}/{name[8:].replace('.', '/')}"
    for path in (f"{base}.py", f"{base}/__init__.py"):
        try:
            return path, os.stat(path)
        except OSError:
            pass
    return None


def pruned(tree: ast.Module) -> ast.Module:
    """The tree itself, changed."""
    before = _names(tree)
    _Pruning().visit(tree)
    idle = before - _names(tree)
    tree.body = [one for one in tree.body if not (isinstance(one, ast.Assign) and _module_of(one.value) and _target(one) in idle)]
    return ast.fix_missing_locations(tree)


def imported(name: str, tree: ast.Module) -> Iterator[str]:
    """Our own modules that a module imports as it runs, from its pruned tree; not its own packages, which come behind the
    parts that they import."""
    for one in tree.body:
        module = _module_of(one.value) if isinstance(one, ast.Assign) else ""
        if module and not name.startswith(f"{module}."):
            yield module


def _names(tree: ast.Module) -> set[str]:
    """Every name that is looked up somewhere."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _target(one: ast.Assign) -> str:
    return one.targets[0].id if isinstance(one.targets[0], ast.Name) else ""


def _module_of(value: ast.expr) -> str:
    """The module that an expression of :func:`_taken` looks up; "" for any other expression."""
    if isinstance(value, ast.Attribute):
        value = value.value
    if isinstance(value, ast.Subscript) and isinstance(value.value, ast.Name) and value.value.id == "__modules__":
        return str(ast.literal_eval(value.slice))
    return ""


class _Pruning(ast.NodeTransformer):
    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        node.body = [_plain(one) for one in _spoken(node.body) if not _bare(one) and not _about_annotations(one)]
        return node

    def visit_Import(self, node: ast.Import) -> ast.Import | None:
        node.names = [alias for alias in node.names if alias.name != "errno"]
        if not node.names:
            return None
        for alias in node.names:
            if alias.name == "struct":
                alias.name, alias.asname = "_struct", alias.asname or "struct"
            elif alias.name == "os":
                alias.name = "posix"
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id == "os" and _is_posix(node.attr):
            node.value.id = "posix"
        elif isinstance(node.value, ast.Name) and node.value.id == "errno":
            return ast.copy_location(_number(node.attr), node)
        else:
            self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.copy_location(_subscript("os"), node) if node.id == "os" and isinstance(node.ctx, ast.Load) else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom | list[ast.stmt]:
        if node.module == "struct":  # a module of two lines around the C one
            node.module = "_struct"
        elif node.module == "errno":
            return [ast.copy_location(ast.Assign([ast.Name(alias.asname or alias.name, ast.Store())], _number(alias.name)), node)
                    for alias in node.names]
        elif node.module == "os" and all(_is_posix(alias.name) for alias in node.names):
            node.module = "posix"
        if node.level or not node.module or not node.module.startswith("pktdiag."):
            return node
        return [ast.copy_location(ast.Assign([ast.Name(alias.asname or alias.name, ast.Store())], _taken(node.module, alias.name)), node)
                for alias in node.names]

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        if [ast.unparse(base) for base in node.bases] == ["Protocol"]:
            return ast.copy_location(ast.Assign([ast.Name(node.name, ast.Store())], ast.Name("object", ast.Load())), node)
        self.generic_visit(node)
        body = _spoken(node.body)
        if any(isinstance(base, ast.Name) and base.id == "NamedTuple" for base in node.bases):
            node.bases = [ast.copy_location(ast.Name("tuple", ast.Load()), node)]
            body = _record(body)
        node.body = [_plain(one) for one in body if not _bare(one)] or [ast.Pass()]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.body = _spoken(node.body) or [ast.Pass()]
        node.returns = None
        arguments = node.args
        for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
            if one is not None:
                one.annotation = None
        return node

    def visit_If(self, node: ast.If) -> ast.If | list[ast.stmt]:
        self.generic_visit(node)
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node.orelse
        return node


def _record(body: list[ast.stmt]) -> list[ast.stmt]:
    """The body of a record's class with all that ``model.record`` gives it."""
    fields = {one.target.id: one.value for one in body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)}
    defaults = [field for field, value in fields.items() if value is not None]
    parameters = ", ".join(f"{field}={field}" if field in defaults else field for field in fields)
    each = "".join(f"{field}, " for field in fields)
    before = "_make, _replace, _asdict, __getnewargs__, __repr__ = NamedTuple.methods"
    behind = f"""
_fields = __match_args__ = {tuple(fields)!r}
_field_defaults = {{{"".join(f"{field!r}: {field}, " for field in defaults)}}}
__slots__ = ()
def __new__(_cls, {parameters}): return __tuple__(_cls, ({each}))
{f"{each}= NamedTuple.getters[:{len(fields)}]" if fields else ""}"""
    return [*ast.parse(before).body, *body, *ast.parse(behind).body]


def _taken(module: str, name: str) -> ast.expr:
    """What ``from module import name`` gives, as an expression."""
    whole = f"{module}.{name}"
    if source(whole) is not None:
        return _subscript(whole)
    return ast.Attribute(_subscript(module), name, ast.Load())


def _subscript(module: str) -> ast.expr:
    return ast.Subscript(ast.Name("__modules__", ast.Load()), ast.Constant(module), ast.Load())


def _number(name: str) -> ast.expr:
    """``errno.NAME``; nothing else of that module is used."""
    number = getattr(errno, name, None)
    if not isinstance(number, int):
        raise ValueError(name)
    return ast.Constant(number)


def _is_posix(name: str) -> bool:
    return hasattr(posix, name) and getattr(posix, name) is getattr(os, name, None)


def _spoken(body: list[ast.stmt]) -> list[ast.stmt]:
    """Without lone strings, the docstring and those below attributes."""
    return [one for one in body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]


def _bare(one: ast.stmt) -> bool:
    """``name: type`` alone."""
    return isinstance(one, ast.AnnAssign) and one.value is None


def _about_annotations(one: ast.stmt) -> bool:
    return isinstance(one, ast.ImportFrom) and one.module == "__future__"


def _plain(one: ast.stmt) -> ast.stmt:
    """``name: type = value`` as ``name = value``."""
    if isinstance(one, ast.AnnAssign) and one.value is not None:
        return ast.copy_location(ast.Assign([one.target], one.value), one)
    return one
