"""The rules of real programs: taken by the tools word for word, and read by pktdiag as the tools list them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from pktdiag.collect.live import LiveHost
from pktdiag.netfilter.nft.load import ruleset
from pktdiag.netfilter.xt.evaluate import load_table
from pktdiag.netfilter.xt.render import render_table
from tests.netfilter.nft.conftest import FAMILIES
from tests.netfilter.nft.test_rendering import listed
from tests.netfilter.xt.test_rendering import rules_of

from . import programs
from .build import Built
from .host import Item
from .lab import Netns

pytestmark = pytest.mark.root
KINDS = [(name, backend) for name in programs.names() for backend in (("nft",) if name.endswith(" nft") else ("legacy", "nft"))]


@pytest.fixture
def made(request: pytest.FixtureRequest) -> Iterator[tuple[Built, Netns, str, str]]:
    program, backend = request.param
    items: list[Item] = [{"do": "netns", "ns": "a"}, {"do": "ip", "ns": "a", "line": "link add a0 type bridge"},
                         {"do": "ip", "ns": "a", "line": "link add a1 type bridge"},
                         {"do": "ip", "ns": "a", "line": "addr add 2001:db8:1::1/64 dev a0 nodad"}]
    rules = programs.rules_of(program, "a", ("a0", 1), ("a1", 2), backend)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        built = Built({"items": items + rules, "packets": []}, home, lenient=True)
        try:
            assert len(rules) >= 4
            yield built, built.namespaces["a"], program, backend
        finally:
            built.close()
    finally:
        os.close(home)


@pytest.mark.parametrize("made", KINDS, indirect=True, ids=lambda kind: "-".join(kind).replace(" ", "-"))
def test_what_the_tools_take_and_list(made: tuple[Built, Netns, str, str]) -> None:
    built, ns, program, backend = made
    assert not built.refused

    def say(*command: str) -> str:
        with ns.inside():
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    pairs: list[tuple[str, str]] = []
    with LiveHost() as host:
        view = host.namespace(int(ns.id[5:-1]))
        if program.endswith(" nft"):
            for (family, table, chain), theirs in listed(say("nft", "list", "ruleset")).items():
                ours = [rule.ref(view).text for rule in ruleset(view).rules(FAMILIES[family], table, chain)]
                assert len(theirs) == len(ours)
                pairs += zip(theirs, ours)
        else:
            for number, tool in ((2, "iptables"), (10, "ip6tables")):
                for table, theirs in rules_of(say(f"{tool}-{backend}-save").splitlines()).items():
                    if backend == "legacy":
                        ours = rules_of(render_table(load_table(view, number, table), view)).get(table, [])
                    else:
                        chains = list(dict.fromkeys(line.split()[1] for line in theirs))
                        ours = [rule.ref(view).text for chain in chains for rule in ruleset(view).rules(number, table, chain)]
                        theirs = [line for chain in chains for line in theirs if line.split()[1] == chain]
                    assert len(theirs) == len(ours)
                    pairs += zip(theirs, ours)
    assert pairs and not [pair for pair in pairs if pair[0] != pair[1]]
