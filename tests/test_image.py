"""The image of the package's code: learnt by a run, used by the next, never used when a source has changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHOW = ("import sys\nsys.argv = ['pktdiag', 'trace', 'nonsense address']\nimport pktdiag.__main__, atexit, os\n"
        "os._exit = lambda status: (print(*sorted(n for n, m in sys.modules.items()"
        " if type(getattr(m.__spec__, 'loader', None)).__name__ == 'Image')), sys.stdout.flush())\n"
        "pktdiag.__main__.main()")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "pktdiag", tmp_path / "pktdiag", ignore=shutil.ignore_patterns("__pycache__", ".mypy_cache"))
    return tmp_path


def from_image(copy: Path) -> set[str]:
    """Modules a run took out of the image."""
    done = subprocess.run([sys.executable, "-c", SHOW], cwd=copy, capture_output=True, text=True, timeout=60, check=False,
                          env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"})
    assert "Traceback" not in done.stderr, done.stderr
    return set(done.stdout.split())


def test_the_second_run_uses_what_the_first_one_learnt(copy: Path) -> None:
    assert from_image(copy) == set()
    learnt = from_image(copy)
    assert {"pktdiag.cli.trace", "pktdiag.cli.question", "pktdiag.model.packet"} <= learnt
    assert from_image(copy) == learnt


def test_a_changed_source_is_read_again(copy: Path) -> None:
    from_image(copy)
    changed = copy / "pktdiag" / "cli" / "question.py"
    changed.write_text(changed.read_text() + "\nprint('changed')\n")
    seen = from_image(copy)
    assert "changed" in seen and "pktdiag.cli.question" not in seen and "pktdiag.cli.trace" in seen
    seen = from_image(copy)
    assert {"changed", "pktdiag.cli.question"} <= seen


@pytest.mark.parametrize("rubbish", [b"", b"x", bytes(100), b"\0\0\0\x05rubbish", b"\xff" * 50])
def test_a_broken_image_is_no_image(copy: Path, rubbish: bytes) -> None:
    from_image(copy)
    image = copy / "pktdiag" / "__pycache__" / f"image.{sys.implementation.cache_tag}"
    image.write_bytes(rubbish)
    assert from_image(copy) == set()
    assert from_image(copy)
    image.write_bytes(image.read_bytes()[:2000])  # no room on the disk
    assert "pktdiag.cli.trace" not in from_image(copy)


def test_a_moved_package_has_no_image(copy: Path) -> None:
    from_image(copy)
    moved = copy / "elsewhere"
    moved.mkdir()
    (copy / "pktdiag").rename(moved / "pktdiag")
    assert from_image(moved) == set()


@pytest.mark.parametrize("argv", [["--help"], ["trace", "--help"], ["trace", "nonsense address"]])
def test_the_launcher_finds_site_packages_when_needed(argv: list[str]) -> None:
    launched = subprocess.run([sys.executable, "-I", "-S", ROOT / "pktdiag" / "launch.py", *argv], capture_output=True, text=True,
                              timeout=60, check=False)
    plain = subprocess.run([sys.executable, "-m", "pktdiag", *argv], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (launched.returncode, launched.stdout, launched.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert launched.stdout + launched.stderr
