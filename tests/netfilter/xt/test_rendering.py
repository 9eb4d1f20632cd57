"""Every extension and option: what pktdiag writes for a rule is what iptables-save writes for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pktdiag.collect.live import LiveHost
from pktdiag.netfilter.xt.evaluate import load_table
from pktdiag.netfilter.xt.render import render_table

from .conftest import Lab

pytestmark = pytest.mark.root

TABLES = ("filter", "mangle", "raw", "nat", "security")
SETS = ("create ips hash:ip family {f} timeout 100", "create ipports hash:ip,port family {f} timeout 100",
        "create nets hash:net family {f}", "create cnt hash:ip counters family {f}", "create skb hash:ip skbinfo family {f}")
RATEEST = "-A INPUT -j RATEEST --rateest-name {} --rateest-interval 250ms --rateest-ewmalog 500ms"


def corpus(name: str) -> list[tuple[str, str, str]]:
    lines = (Path(__file__).parent / name).read_text().splitlines()
    return [(table, chain, rest) for table, chain, rest in (line.split(" ", 2) for line in lines if line and not line.startswith("#"))]


def load(lab: Lab, tool: str, rules: list[tuple[str, str, str]]) -> list[str]:
    """Loads all rules at once; rule by rule where the kernel or the tool refuses one. Returns the refused."""
    text = ""
    for table in TABLES:
        text += f"*{table}\n:USER - [0:0]\n:DIVERT - [0:0]\n"
        if table == "filter":
            text += "".join(f"{RATEEST.format(name)}\n" for name in ("RE1", "RE2"))
        text += "".join(f"-A {chain} {rest}\n" for of, chain, rest in rules if of == table) + "COMMIT\n"
    if lab.fails(f"{tool}-restore", stdin=text) is None:
        return []
    load(lab, tool, [])
    refused = []
    for table, chain, rest in rules:
        why = lab.fails(f"{tool}-restore", "--noflush", stdin=f"*{table}\n-A {chain} {rest}\nCOMMIT\n")
        if why is not None:
            refused.append(f"{table} {chain} {rest}: {why.splitlines()[0]}")
    return refused


def rules_of(saved: list[str]) -> dict[str, list[str]]:
    tables: dict[str, list[str]] = {}
    for line in saved:
        if line.startswith("*"):
            current = tables[line[1:]] = []
        elif line.startswith("-A"):
            current.append(line.rstrip())
    return tables


@pytest.mark.parametrize(("family", "tool", "name"), [(2, "iptables-legacy", "corpus4.txt"), (10, "ip6tables-legacy", "corpus6.txt")])
def test_legacy_rules_read_as_iptables_save_prints_them(lab: Lab, family: int, tool: str, name: str) -> None:
    for line in SETS:
        lab.run("ipset", *line.format(f="inet" if family == 2 else "inet6").split())
    rules = corpus(name)
    refused = load(lab, tool, rules)
    saved = rules_of(lab.run(f"{tool}-save").splitlines())
    different, equal = [], 0
    with LiveHost() as host:
        ns = host.namespace(lab.inode)
        rendered = {table: rules_of(render_table(load_table(ns, family, table), ns)).get(table, []) for table in saved}
    for table, lines in saved.items():
        ours = rendered[table]
        assert len(ours) == len(lines), table
        for theirs, mine in zip(lines, ours):
            if theirs == mine:
                equal += 1
            else:
                different.append(f"{theirs}\n{mine}")
    print(f"{tool}: {equal} equal, {len(different)} different, {len(refused)} refused by this kernel")
    assert not different, "\n".join(different)
    assert equal > 0.95 * len(rules), "\n".join(refused)
