"""Rules made by iptables-nft, native expressions and compat ones alike, read as iptables-nft-save prints them."""

from __future__ import annotations

import pytest

from pktdiag.netfilter.nft.load import ruleset

from ..xt.test_rendering import SETS, corpus, load, rules_of
from .conftest import Lab

pytestmark = pytest.mark.root


class _XtLab:
    """What the xt loader wants of a lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def fails(self, *command: str, stdin: str | None = None) -> str | None:
        return self.lab.run(*command, stdin=stdin, check=False) or None


MORE = [("filter", chain, rest) for chain, rest in (
    ("FORWARD", "-s 10.0.0.0/9 -d 192.168.0.0/16 -i eth0 ! -o eth+ -p tcp -m tcp --sport 1000:2000 ! --dport 80 -j RETURN"),
    ("FORWARD", "-p tcp -m tcp ! --tcp-flags SYN,ACK SYN -m comment --comment \"a \\\"b\\\"\" -g USER"),
    ("FORWARD", "-p tcp -m tcp --tcp-flags ALL NONE -j DROP"),
    ("FORWARD", "-p udp -m udp ! --sport 5:6 --dport 7 -j ACCEPT"),
    ("FORWARD", "-m limit --limit 1/s --limit-burst 9 -j LOG --log-prefix \"p \" --log-level 6 --log-tcp-options"),
    ("FORWARD", "-m limit --limit 100/hour -j DROP"), ("FORWARD", "-m limit --limit 3/day"),
    ("FORWARD", "-j NFLOG --nflog-group 5 --nflog-prefix \"x y\" --nflog-size 64 --nflog-threshold 9"),
    ("FORWARD", "-m mark ! --mark 0x10/0xf0 -j ACCEPT"), ("FORWARD", "-m mark --mark 7"),
)]


@pytest.mark.parametrize(("family", "tool", "name"), [(2, "iptables-nft", "corpus4.txt"), (10, "ip6tables-nft", "corpus6.txt")])
def test_iptables_nft_rules_read_as_saved(lab: Lab, family: int, tool: str, name: str) -> None:
    for line in SETS:
        lab.run("ipset", *line.format(f="inet" if family == 2 else "inet6").split())
    rules = corpus(name) + (MORE if family == 2 else MORE[1:])
    refused = load(_XtLab(lab), tool, rules)  # type: ignore[arg-type]
    saved = rules_of(lab.run(f"{tool}-save").splitlines())
    view = lab.view()
    different, equal = [], 0
    for table, lines in saved.items():
        by_chain: dict[str, list[str]] = {}
        for line in lines:
            by_chain.setdefault(line.split()[1], []).append(line)
        for chain, wanted in by_chain.items():
            ours = [rule.ref(view) for rule in ruleset(view).rules(family, table, chain)]
            assert len(ours) == len(wanted)
            for theirs, mine in zip(wanted, ours):
                if theirs == mine.text and mine.backend == "iptables-nft":
                    equal += 1
                else:
                    different.append(f"{theirs}\n{mine.text}")
    print(f"{tool}: {equal} equal, {len(different)} different, {len(refused)} refused by this kernel")
    assert len(different) <= 0.01 * equal, "\n".join(different)
    assert equal > 0.8 * len(rules), "\n".join(refused)


EBTABLES = """
-p ip --ip-src 10.0.0.1 --ip-proto tcp --ip-dport 80 -j DROP
-s 02:00:00:00:00:01 -d ! ff:ff:ff:ff:ff:ff -i eth0 -o eth+ -j ACCEPT
-p arp --arp-op Request -j CONTINUE
-s Multicast -d Unicast -j DROP
-s BGA
-d ! Multicast
-s 02:00:00:00:00:01/ff:ff:ff:00:00:00 -j RETURN
-s 02:00:00:00:00:01/ff:ff:ff:0f:00:00 -j RETURN
-p 0x1234 -j USER
-p 802_1Q --vlan-id 5 -j DROP
-p ! ip -i ! eth0 -j DROP
-p LENGTH --802_3-sap 5 -j DROP
-p LENGTH -j ACCEPT
-p IPv6 --ip6-src 2001:db8::/64 -j DROP
--mark 5 -j mark --mark-set 5
--limit 3/min -j ACCEPT
--limit 5/hour --limit-burst 9
--pkttype-type broadcast -j DROP
--stp-type 1
--log --log-prefix x -j ACCEPT
--nflog-group 3 -j DROP
--among-src ! 02:00:00:00:00:01
--among-dst 02:00:00:00:00:01=10.0.0.1,02:00:00:00:00:02 -j DROP
""".strip().splitlines()
ARPTABLES = """
-s 10.0.0.1 -d 10.0.0.0/8 -j DROP
-s 10.0.0.0/9 -i eth+ -j USER
--opcode Request --source-mac 02:00:00:00:00:01 -i eth0 -j ACCEPT
! -s 10.0.0.1 --h-type 1 --proto-type 0x800 -j DROP
! --opcode 2 --h-type 5 -j RETURN
--destination-mac ! 02:00:00:00:00:01 -j CLASSIFY --set-class 1:2
-j mangle --mangle-ip-s 1.2.3.4 --mangle-target CONTINUE
-j MARK --set-mark 5
""".strip().splitlines()


@pytest.mark.parametrize(("family", "tool", "chain", "rules"), [
    (7, "ebtables-nft", "FORWARD", EBTABLES), (3, "arptables-nft", "INPUT", ARPTABLES)])
def test_bridge_and_arp_rules_read_as_saved(lab: Lab, family: int, tool: str, chain: str, rules: list[str]) -> None:
    lab.run(tool, "-N", "USER")
    refused = [rule for rule in rules if lab.run(tool, "-A", chain, *rule.split(), check=False).lower().count("failed")]
    saved = [line.strip() for line in lab.run(f"{tool}-save").splitlines() if line.startswith(f"-A {chain}")]
    view = lab.view()
    refs = [rule.ref(view) for rule in ruleset(view).rules(family, "filter", chain)]
    assert [ref.text for ref in refs] == saved
    assert {ref.backend for ref in refs} == {tool}
    assert len(saved) == len(rules) - len(refused) and len(refused) < 3, refused


def test_the_policy_of_a_user_chain_is_told_apart(lab: Lab) -> None:
    for command in ("-N USER", "-A USER -j ACCEPT", "-P USER DROP"):
        lab.run("ebtables-nft", *command.split())
    view = lab.view()
    assert [rule.ref(view).text for rule in ruleset(view).rules(7, "filter", "USER")] == ["-A USER -j ACCEPT", "-P USER DROP"]
