"""The house rules of CONTRIBUTING.md that a program can check: which way imports point, and what start-up may not load."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pktdiag"
ANY = frozenset(("model", "collect", "netfilter", "conntrack", "walk", "explain", "render", "cli"))
MAY_IMPORT = {
    "model": frozenset(("model",)),
    "collect": frozenset(("model", "collect")),
    "netfilter": frozenset(("model", "netfilter")),
    "conntrack": frozenset(("model", "netfilter", "conntrack")),
    "walk": frozenset(("model", "netfilter", "conntrack", "walk")),
    "explain": ANY - {"collect", "render", "cli"},
    "render": ANY - {"collect", "cli"},
    "cli": ANY,
}
# The NAT hook is the one place where netfilter reaches back into connections (nf_nat_core.c lives between the two as well).
NETFILTER_HOOKS_MAY_USE_CONNTRACK = True
HEAVY = ("dataclasses", "enum", "re", "ipaddress", "socket", "json", "rich", "typer", "pyroute2", "psutil", "asyncio", "inspect",
         "subprocess", "logging")


def imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    """(module, line, only at call time) of every import of a file."""
    tree = ast.parse(path.read_text())
    inside = {child for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
              for child in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, node in inside
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno, node in inside
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno, node in inside


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    layer = path.relative_to(PACKAGE).parts[0]
    allowed = MAY_IMPORT[layer]
    if layer == "netfilter" and NETFILTER_HOOKS_MAY_USE_CONNTRACK:
        allowed |= {"conntrack"}
    for module, line, _ in imports(path):
        parts = module.split(".")
        if parts[0] == "pktdiag" and len(parts) > 1 and parts[1] in ANY:
            assert parts[1] in allowed, f"{path}:{line}: {layer} may not import {module}"


@pytest.mark.parametrize("layer", ["netfilter", "conntrack", "walk", "explain", "render"])
def test_the_core_is_pure(layer: str) -> None:
    """No I/O: what a pure layer learns, it learns from the view."""
    forbidden = {"os", "subprocess", "socket", "shutil", "pathlib", "fcntl", "select", "tempfile", "urllib", "http"}
    for path in (PACKAGE / layer).rglob("*.py"):
        for module, line, _ in imports(path):
            if module == "os" and path.name == "look.py":
                continue  # the terminal is the renderer's business
            assert module.split(".")[0] not in forbidden or (module.startswith("os.") and path.name == "look.py"), f"{path}:{line}: {module}"


def test_modules_stay_small() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {str(path): lines for path, lines in lengths.items() if lines > 400} == {}


def loaded_by(*argv: str) -> set[str]:
    """Modules in memory when a real run of pktdiag ends."""
    code = ("import sys\nsys.argv = ['pktdiag', *sys.argv[1:]]\nfrom pktdiag.__main__ import run\n"
            "try:\n    run()\nexcept SystemExit:\n    pass\nprint(*sorted(sys.modules), file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code, *argv], cwd=ROOT, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.stderr.strip(), done.stdout
    assert "internal-error" not in done.stderr and "Traceback" not in done.stderr, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.fixture(scope="module")
def site_modules() -> set[str]:
    """What the interpreter and `typing` bring along anyway (until 3.12 that includes re and enum)."""
    done = subprocess.run([sys.executable, "-c", "import sys, typing; print(*sys.modules)"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("argv", [("trace", "127.0.0.1:9/udp"), ("why-dropped", "127.0.0.1:9/udp"), ("trace", "127.0.0.1:9", "--json"),
                                  ("trace", "[::1]:9")], ids=" ".join)
def test_a_trace_loads_nothing_heavy(argv: tuple[str, ...], site_modules: set[str]) -> None:
    loaded = loaded_by(*argv) - site_modules
    assert sorted(loaded.intersection(HEAVY)) == []
