"""Tables read ahead are the tables; where there are none, or no permission, nothing is different."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from .conftest import Lab

pytestmark = pytest.mark.root
ASK = """
import json, sys
from pktdiag.collect.live import LiveHost
def tables(early):
    with LiveHost() as host:
        if early:
            host.read_early(2)
        ns = host.current_namespace()
        return {name: [part.hex() for part in ns.xt_table(2, name)] for name in ns.xt_tables(2)}
usual, early = tables(False), tables(True)
from pktdiag.collect.early import EarlyTables
ahead = EarlyTables(2)
took = [name for name in usual if ahead.take(2, name)]
json.dump([usual == early, sorted(usual), sorted(took), ahead.take(2, "filter") is None, ahead.take(10, "nat") is None], sys.stdout)
"""


def ask(lab: Lab, *before: str) -> list[object]:
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    done = subprocess.run(["nsenter", f"--net=/run/netns/{lab.prefix}e", *before, sys.executable, "-c", ASK], capture_output=True,
                          text=True, check=False, env={**os.environ, "PYTHONPATH": root})
    assert done.returncode == 0 and not done.stderr, done.stderr
    return list(json.loads(done.stdout))


def test_early_tables(lab: Lab) -> None:
    lab.add("e")
    assert ask(lab) == [True, [], [], True, True]
    for table in ("filter", "nat"):
        if lab.try_run("e", f"iptables-legacy -t {table} -A OUTPUT -p tcp -j ACCEPT").returncode:
            pytest.skip("this kernel has no iptables-legacy")
    assert ask(lab) == [True, ["filter", "nat"], ["filter", "nat"], True, True]
