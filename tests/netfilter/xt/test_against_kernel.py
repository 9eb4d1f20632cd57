"""Every match the kernel offers, met by real packets: the counters that move are the ones pktdiag names."""

from __future__ import annotations

import pytest

from pktdiag.collect.live import LiveHost
from pktdiag.model.packet import Packet
from pktdiag.netfilter.context import CtState
from tests.kernel.build import make_accounting_object
from tests.netfilter.nft.packets import inside

from .conftest import Lab
from .oracle import Wire
from .test_rendering import SETS, corpus, load
from .wire import SYN_OPTIONS, packet

pytestmark = pytest.mark.root

V4, V6 = ("198.51.100.1", "198.51.100.2"), ("2001:db8::1", "2001:db8::2")
MAY_BE_UNSURE = frozenset(("limit", "hashlimit", "statistic", "connlimit", "quota", "recent", "cpu", "rateest", "osf", "realm", "nfacct", "bpf",
                           "u32", "string", "cgroup", "owner", "ah", "esp", "ipcomp", "dccp", "sctp", "set", "ipvs", "frag", "conntrack", "mh"))


def packets(family: int) -> list[tuple[str, Packet, int]]:
    """(story, packet, what conntrack makes of it)."""
    pair = V4 if family == 2 else V6
    icmp, echo = (1, 8) if family == 2 else (58, 128)
    new, bad = CtState.NEW, CtState.INVALID
    port = 20000

    def tcp(flags: int, **fields: object) -> Packet:
        nonlocal port
        port += 1
        given = {"sport": port, "dport": 80, "tcp_flags": flags, "tcp_options": b"", **fields}
        return packet(*pair, 6, **given)

    known = frozenset(("ip_id", "tcp_seq", "tcp_ack", "tcp_window", "checksum", "flow_label"))
    return [
        ("syn with options", tcp(2, tcp_options=SYN_OPTIONS), new),
        ("bare syn to 22", tcp(2, dport=22, ttl=5, tos=0x28), new),
        ("null scan", tcp(0), bad),
        ("xmas", tcp(0x29), bad),
        ("syn fin", tcp(3), bad),
        ("mid-stream ack", tcp(16, dport=9), new),
        ("ece cwr syn", tcp(0xC2, tos=3, ttl=64), new),
        ("udp 53", packet(*pair, 17, sport=53, dport=5, payload=b"foo bar baz", unknown=known), new),
        ("udp high", packet(*pair, 17, sport=5000, dport=6000, payload=b"FOO\r\nx", tos=0x10, unknown=known), new),
        ("udp 5 to 5", packet(*pair, 17, sport=5, dport=5, ttl=4, payload=b"y" * 100, unknown=known), new),
        ("echo request", packet(*pair, icmp, icmp_type=echo, icmp_id=7, payload=b"p" * 56), new),
        ("stray echo reply", packet(*pair, icmp, icmp_type=0 if icmp == 1 else 129, icmp_id=9), bad),
        ("sctp", packet(*pair, 132, sport=5, dport=6, payload=b"\0" * 8 + b"\1\0\0\x14" + b"\0" * 16), bad),
        ("dccp", packet(*pair, 33, sport=1, dport=2, payload=b"\5\0\0\0\1\0\0\0\0\0\0\1" + b"\0" * 4), new),
        ("gre", packet(*pair, 47, payload=b"\0" * 4), new),
        ("protocol 99", packet(*pair, 99, payload=b"\0" * 8), new),
        ("protocol 253", packet(*pair, 253, payload=b"\0" * 8), new),
    ]


@pytest.fixture
def wire(lab: Lab):  # type: ignore[no-untyped-def]
    made = Wire(lab)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(("family", "tool", "name"), [(2, "iptables-legacy", "corpus4.txt"), (10, "ip6tables-legacy", "corpus6.txt")])
def test_matches(lab: Lab, wire: Wire, family: int, tool: str, name: str) -> None:
    """Rules without a target, all at once: each counts for itself."""
    for line in SETS:
        lab.run("ipset", *line.format(f="inet" if family == 2 else "inet6").split())
    for line in ("add ips {}", "add ipports {},tcp:80", "add nets {}/24", "add cnt {}"):
        lab.run("ipset", *line.format(V4[0] if family == 2 else V6[0]).split())
    rules = [(table, chain, rest.partition(" -j ")[0]) for table, chain, rest in corpus(name)
             if chain in ("INPUT", "PREROUTING") and not rest.startswith(("-j", "-g")) and table != "nat" and " -m rateest" not in rest]
    load(lab, tool, rules)
    judge(lab, wire, family, list(packets(family)))


def judge(lab: Lab, wire: Wire, family: int, cases: list[tuple[str, Packet, int]]) -> None:
    wrong, right, unsure, matched = [], 0, set(), set()
    with LiveHost() as host:
        ns = host.namespace(lab.inode)
        for story, each, state in cases:
            predicted, services = wire.prediction(host, each, family, state)
            texts = {(name, chain.name, index): rule for name in ns.xt_tables(family) for chain, index, rule in _rules(ns, family, name)}
            truth = wire.truth(host, each, family)
            assert truth, f"{story}: nothing counted, the packet got lost"
            for where in sorted(truth | predicted):
                if where in services.unsure:
                    unsure.add(texts[where])
                elif (where in truth) != (where in predicted):
                    wrong.append(f"{story}: kernel {where in truth}, pktdiag {where in predicted}: {texts.get(where, where)}")
            right += len(texts) - len(services.unsure)
            matched |= {texts[where] for where in truth if where in texts}
            unsure |= {texts[where] for where in services.unsure}
    print(f"{right} judgements right, {len(wrong)} wrong; {len(matched)} of {len(texts)} rules met; unsure about {len(unsure)}")
    assert not wrong, "\n".join(wrong)
    for text in unsure:
        assert any(f"-m {name} " in text or f"-m {name}" == text[-len(name) - 3:] for name in MAY_BE_UNSURE), text


def _rules(ns, family: int, name: str):  # type: ignore[no-untyped-def]
    from pktdiag.netfilter.xt.evaluate import load_table
    from pktdiag.netfilter.xt.render import render_rule

    table = load_table(ns, family, name)
    for chain in table.chains().values():
        for index, rule in enumerate(chain.rules, 1):
            yield chain, index, render_rule(table, chain.name, rule, ns)


@pytest.mark.parametrize("tool", ("iptables-legacy", "iptables-nft"))
def test_accounting_objects(lab: Lab, wire: Wire, tool: str) -> None:
    """Without a quota they always match, far below one never, beyond it always again; and they read as iptables-save prints them."""
    names = ("acct", "acct-packets-1000", "acct-bytes-1000000", "acct-packets-1", "acct-bytes-10")
    with inside(lab.name):
        for name in names:
            make_accounting_object(name)
    lab.run(f"{tool}-restore", stdin="".join(("*filter\n", *(f"-A INPUT -m nfacct --nfacct-name {name}\n" for name in names), "COMMIT\n")))
    saved = [line.rstrip() for line in lab.run(f"{tool}-save").splitlines() if line.startswith("-A")]
    with LiveHost() as host:
        ns = host.namespace(lab.inode)
        if tool == "iptables-legacy":
            assert [rule for _, _, rule in _rules(ns, 2, "filter")] == saved
        else:
            from pktdiag.netfilter.nft.load import ruleset

            assert [rule.ref(ns).text for rule in ruleset(ns).rules(2, "filter", "INPUT")] == saved
            return
    first = list(packets(2))
    judge(lab, wire, 2, first[:3])
    with LiveHost() as host:
        predicted, services = wire.prediction(host, first[3][1], 2, first[3][2])
        assert not services.unsure
        assert {index for _, _, index in predicted} - {0} == {1, 4, 5}  # 0 is the policy
    judge(lab, wire, 2, first[3:])
