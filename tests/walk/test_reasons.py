"""Every reason we name exists in the kernel that runs the tests, and every reason the walk uses is explained."""

from __future__ import annotations

import ast
import errno
import os
import re
import subprocess
from pathlib import Path

import pytest

from pktdiag.model.reasons import REASONS

SOURCE = Path(__file__).parents[2] / "pktdiag"


def test_reasons_used_by_the_walk_are_explained() -> None:
    used: set[str] = set()
    for path in [*SOURCE.glob("walk/*.py"), *SOURCE.glob("netfilter/*.py"), *SOURCE.glob("conntrack/*.py")]:
        tree = ast.parse(path.read_text())
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name in ("drop", "HookResult", "_error", "_martian_source"):
                used |= {arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
                         and re.fullmatch(r"[A-Z][A-Z0-9_]+", arg.value)}
    used -= {name for name in used if name in errno.errorcode.values()}
    assert len(used) > 15
    assert not used - set(REASONS)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts tracefs in a mount namespace of its own")
def test_names_are_the_kernel_s() -> None:
    shown = subprocess.run(["unshare", "-m", "sh", "-c", "mount -t tracefs none /mnt && cat /mnt/events/skb/kfree_skb/format"],
                           capture_output=True, text=True, check=True).stdout
    kernel = set(re.findall(r'"([A-Z][A-Z0-9_]+)"', shown))
    if "NO_TX_TARGET" not in kernel:
        pytest.skip("this kernel is older than the names (v6.14)")
    assert not set(REASONS) - kernel - {""}
