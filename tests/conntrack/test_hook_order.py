"""The order of everything at a hook: predicted log lines against the kernel's own."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator

import pytest

from pktdiag.explain import hooks as explain
from pktdiag.render.hooks import render_json, render_text

from .conftest import CLIENT, SERVER, Crossing, Lab, inside, packet
from .nflog import Listener

GROUP = 7


@pytest.fixture
def listener(lab: Lab) -> Iterator[Listener]:
    with inside(lab.names["router"]):
        made = Listener(GROUP)
    yield made
    made.close()


def send(lab: Lab, sport: int) -> None:
    with lab.bound("client", socket.SOCK_DGRAM, CLIENT, sport) as sock:
        sock.sendto(b"x", (SERVER, 5353))


@pytest.mark.parametrize("seed", range(5))
def test_log_rules_at_many_priorities(lab: Lab, listener: Listener, seed: int) -> None:
    draw = random.Random(seed)
    lines, hooks_of = [], {"prerouting": "p", "forward": "f", "postrouting": "o"}
    for table in draw.sample(range(9), 3):
        family = draw.choice(("ip", "inet"))
        lines.append(f"table {family} t{table} {{")
        for chain in range(3):
            hook = draw.choice(list(hooks_of))
            priority = draw.choice((-450, -301, -300, -299, -199, -150, -1, 0, 0, 1, 50, 99, 101, 300))
            name = f"{family}{table}c{chain}"
            lines.append(f"  chain c{chain} {{ type filter hook {hook} priority {priority}; "
                         f'udp dport 5353 log group {GROUP} prefix "{name}"; }};')
        lines.append("}")
    for table, chain in (("raw", "PREROUTING"), ("mangle", "FORWARD"), ("filter", "FORWARD"), ("mangle", "POSTROUTING")):
        lab.run("router", "iptables-legacy", "-t", table, "-A", chain, "-p", "udp", "--dport", "5353", "-j", "NFLOG",
                "--nflog-group", str(GROUP), "--nflog-prefix", f"L{table}{chain[:2]}")
    lab.run("router", "nft", "-f", "-", stdin="\n".join(lines))
    crossing = Crossing(lab)
    crossing.forward(packet(CLIENT, 43000 + seed, SERVER, 5353))
    predicted = crossing.services.logged
    assert len(predicted) >= 4
    send(lab, 43000 + seed)
    assert listener.prefixes(len(predicted)) == predicted


def test_the_younger_chain_of_equal_priority_runs_first(lab: Lab, listener: Listener) -> None:
    lab.run("router", "nft", "-f", "-", stdin="table ip t {\n" + "\n".join(
        f'chain c{n} {{ type filter hook forward priority 7; udp dport 5353 log group {GROUP} prefix "{n}"; }}' for n in range(4)) + "\n}")
    crossing = Crossing(lab)
    crossing.forward(packet(CLIENT, 43100, SERVER, 5353))
    send(lab, 43100)
    assert listener.prefixes(4) == crossing.services.logged == ["3", "2", "1", "0"]
    assert not crossing.services.asked


def test_an_order_that_decides_the_verdict_is_asked_about(lab: Lab) -> None:
    """Legacy and nft filter at priority 0: one drops, the other would have changed the mark it drops by."""
    lab.run("router", "iptables-legacy", "-A", "FORWARD", "-m", "mark", "--mark", "5", "-j", "DROP")
    lab.run("router", "nft", "-f", "-", stdin="table ip t { chain c { type filter hook forward priority 0; meta mark set 5; }; }")
    crossing = Crossing(lab)
    crossing.forward(packet(CLIENT, 43200, SERVER, 53))
    assert len(crossing.services.asked) == 1 and "same priority 0" in crossing.services.asked[0]


def test_an_order_that_changes_nothing_is_not_asked_about(lab: Lab) -> None:
    lab.run("router", "iptables-legacy", "-A", "FORWARD", "-p", "tcp", "-j", "DROP")
    lab.run("router", "nft", "-f", "-", stdin="table ip t { chain c { type filter hook forward priority 0; udp dport 1 drop; }; }")
    crossing = Crossing(lab)
    _, result = crossing.forward(packet(CLIENT, 43201, SERVER, 53))
    assert result.action == "accept" and not crossing.services.asked


def test_the_report_tells_all_of_it(fresh_lab: Lab) -> None:
    lab = fresh_lab
    lab.run("router", "iptables-legacy", "-t", "nat", "-A", "POSTROUTING", "-j", "MASQUERADE")
    lab.run("router", "nft", "-f", "-", stdin="""
        table ip nat { chain DOCKER { };
          chain PREROUTING { type nat hook prerouting priority dstnat; jump DOCKER; dnat to 203.0.113.9; }; }
        table inet filter { chain input { type filter hook input priority filter + 5; policy drop; ct state established accept; }; }
        table netdev n { chain in { type filter hook ingress device up0 priority 3; udp dport 9 drop; }; }
        table ip sleeping { flags dormant;
 chain c { type filter hook input priority 0; drop; }; }""")
    view = lab.view("router")
    report = explain.build(lab.host, view)
    found = {(hook.family, hook.hook, hook.device): [entry.label for entry in hook.entries] for hook in report.hooks}
    assert found[("netdev", "ingress", "up0")] == ["netdev n in"]
    assert found[("ip", "prerouting", "")] == ["defragmentation", "connection tracking", "NAT"]
    assert found[("ip", "input", "")] == ["inet filter input", "NAT", "connection tracking: confirm"]
    assert found[("ip6", "input", "")] == ["inet filter input", "connection tracking: confirm"]
    nat = next(entry for hook in report.hooks if hook.family == "ip" and hook.hook == "prerouting" for entry in hook.entries
               if entry.kind == "nat")
    assert [item.label for item in nat.inside if item.kind == "nft"] == ["ip nat PREROUTING"]
    assert next(item for item in nat.inside if item.kind == "nft").owners == ("docker",)
    assert any("held twice" in warning for warning in report.warnings)
    assert any("dormant" in warning for warning in report.warnings)
    text = render_text(report, 80, False)
    assert max(map(len, text.splitlines())) <= 80
    assert "filter + 5" in text and "policy drop" in text
    document = json.loads(render_json(report))
    assert document["schema"] == "pktdiag.hooks/1" and document["hooks"][0]["device"] == "up0"
