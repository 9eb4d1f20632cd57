"""The demonstration: it tells its story with and without root, and leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import ROOT, pktdiag

pytestmark = pytest.mark.root


def residents() -> list[str]:
    """Processes of a lab, by the names it gives them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            name = path.read_text().strip()
        except OSError:
            continue
        if name in ("web-server", "outside-client"):
            found.append(f"{path.parent.name} {name}")
    return found


def test_the_story_is_told_with_real_packets() -> None:
    done = pktdiag("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Prediction and packet agree" in done.stdout
    assert done.stdout.index("REJECTED") < done.stdout.index("--to-destination 172.30.0.2:8000") < done.stdout.index("DELIVERED")
    assert "hello from web" in done.stdout


def test_the_wrapper_finds_itself_from_anywhere(tmp_path: Path) -> None:
    """As the README's first command runs it, from another directory and with nothing in the environment to help."""
    done = subprocess.run([sys.executable, "-I", "-S", str(ROOT / "pktdiag" / "launch.py"), "demo"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=120, check=False, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_host_needs_no_tools(tmp_path: Path) -> None:
    """Without nft and iptables in sight the rule is loaded through netlink."""
    script = ("import shutil, sys\nshutil.which = lambda *a, **k: None\nsys.argv = ['pktdiag', 'demo']\n"
              "from pktdiag.__main__ import main\nmain()")
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "through netlink" in " ".join(done.stdout.split()) and "DELIVERED" in done.stdout


def test_without_root_it_uses_a_user_namespace(tmp_path_factory: pytest.TempPathFactory) -> None:
    """As nobody, from a copy nobody may read (the checkout and its environment may lie below /root)."""
    if Path("/proc/sys/user/max_user_namespaces").read_text().strip() == "0":
        pytest.skip("this kernel allows no user namespaces")
    import psutil
    import typer
    python = next((path for path in ("/usr/bin/python3",) if os.path.exists(path)), None)
    if python is None:
        pytest.skip("no system python that an unprivileged user may run")
    base = Path("/var/tmp") / f"pktdiag-demo-{os.getpid()}"
    try:
        base.mkdir(mode=0o755)
        shutil.copytree(ROOT / "pktdiag", base / "pktdiag", ignore=shutil.ignore_patterns("__pycache__"))
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, "-m", "pktdiag", "demo"], cwd=base,
                              capture_output=True, text=True, timeout=120, check=False,
                              env={"PATH": os.environ["PATH"], "PYTHONPATH": str(base), "PYTHONDONTWRITEBYTECODE": "1"})
    finally:
        shutil.rmtree(base, ignore_errors=True)
    assert typer and psutil
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Prediction and packet agree" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_nothing_stays_when_it_is_stopped(number: signal.Signals) -> None:
    before = set(residents())
    demo = subprocess.Popen([sys.executable, "-m", "pktdiag", "demo", "--pause"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True)
    try:
        assert demo.stdin is not None
        demo.stdin.write("\n")
        demo.stdin.flush()
        deadline = time.monotonic() + 20
        while len(set(residents()) - before) < 2:
            assert demo.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        made = set(residents()) - before
        if number == signal.SIGINT:
            os.killpg(demo.pid, number)  # as a terminal does
        else:
            demo.send_signal(number)
        _, errors = demo.communicate(timeout=20)
        assert "Traceback" not in errors
        assert demo.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
        deadline = time.monotonic() + 10
        while made & set(residents()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.communicate()
