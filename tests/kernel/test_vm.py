"""A smoke run on the second kernel: it boots, the judge runs there on hosts with devices of all kinds, and it agrees."""

from __future__ import annotations

import shutil

import pytest

from . import vm


@pytest.mark.root
@pytest.mark.slow
def test_the_judge_runs_on_debians_kernel(capfd: pytest.CaptureFixture[str]) -> None:
    if shutil.which("qemu-system-x86_64") is None or shutil.which("busybox") is None:
        pytest.skip("needs qemu-system-x86 and busybox-static")
    status = vm.run(["--cases", "24", "--seed", "61", "--jobs", "2", "--regressions"])
    output = capfd.readouterr().out
    assert "regressions: 0 wrong" in output and "cases on" in output, output[-2000:]
    assert status == 0, output[-3000:]
