"""The rules of real programs: taken by the tools word for word, and read by pktdiag as the tools list them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from pktdiag.collect.live import LiveHost
from pktdiag.netfilter.nft.load import ruleset
from pktdiag.netfilter.xt.evaluate import load_table
from pktdiag.netfilter.xt.render import render_table
from tests.netfilter.nft.conftest import FAMILIES
from tests.netfilter.nft.test_rendering import listed
from tests.netfilter.xt.test_rendering import rules_of

from . import judge, programs
from .build import Built
from .host import Item

pytestmark = pytest.mark.root


def taken_and_listed(bench: judge.Bench, program: str, backend: str) -> dict[str, list[Any]]:
    """Lines that a tool refuses, and pairs of what it lists and what pktdiag reads."""
    items: list[Item] = [{"do": "netns", "ns": "a"}, {"do": "ip", "ns": "a", "line": "link add a0 type bridge"},
                         {"do": "ip", "ns": "a", "line": "link add a1 type bridge"},
                         {"do": "ip", "ns": "a", "line": "addr add 2001:db8:1::1/64 dev a0 nodad"}]
    rules = programs.rules_of(program, "a", ("a0", 1), ("a1", 2), backend)
    built = Built({"items": items + rules, "packets": []}, bench.home, lenient=True)
    try:
        ns = built.namespaces["a"]
        with ns.inside(), LiveHost() as host:
            view = host.current_namespace()
            pairs = list(native(view) if program.endswith(" nft") else iptables(view, backend))
    finally:
        built.close()
    return {"refused": built.refused, "pairs": pairs}


def say(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def native(view: Any) -> Iterator[tuple[str, str]]:
    for (family, table, chain), theirs in listed(say("nft", "list", "ruleset")).items():
        ours = [rule.ref(view).text for rule in ruleset(view).rules(FAMILIES[family], table, chain)]
        assert len(theirs) == len(ours)
        yield from zip(theirs, ours)


def iptables(view: Any, backend: str) -> Iterator[tuple[str, str]]:
    for number, tool in ((2, "iptables"), (10, "ip6tables")):
        for table, theirs in rules_of(say(f"{tool}-{backend}-save").splitlines()).items():
            if backend == "legacy":
                ours = rules_of(render_table(load_table(view, number, table), view)).get(table, [])
            else:
                chains = list(dict.fromkeys(line.split()[1] for line in theirs))
                ours = [rule.ref(view).text for chain in chains for rule in ruleset(view).rules(number, table, chain)]
                theirs = [line for chain in chains for line in theirs if line.split()[1] == chain]
            assert len(theirs) == len(ours)
            yield from zip(theirs, ours)


@pytest.mark.parametrize(("program", "backend"), [(name, backend) for name in programs.names()
                                                  for backend in (("nft",) if name.endswith(" nft") else ("legacy", "nft"))])
def test_what_the_tools_take_and_list(program: str, backend: str) -> None:
    done = judge.with_bench(lambda bench: taken_and_listed(bench, program, backend))
    assert not done["refused"]
    assert len(done["pairs"]) and not [pair for pair in done["pairs"] if pair[0] != pair[1]]
