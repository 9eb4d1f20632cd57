"""The kernel as judge: two namespaces, a cable, rules, one packet; which counters moved, and which ones pktdiag said would."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterable

from pktdiag.collect.live import LiveHost
from pktdiag.collect.live_namespace import LiveNamespace
from pktdiag.conntrack.accounting import account
from pktdiag.model.host import ConntrackTuple
from pktdiag.model.kernel import PACKET_HOST
from pktdiag.model.packet import Packet
from pktdiag.model.question import Question
from pktdiag.netfilter.context import Conn, CtState, HookContext, Skb, Unknown
from pktdiag.netfilter.xt.blob import Table
from pktdiag.netfilter.xt.evaluate import load_table, run_table
from pktdiag.walk.services import WalkServices
from pktdiag.walk.state import Walk

from .conftest import Lab
from .wire import ip

Where = tuple[str, str, int]
"""(table, chain, index); index 0 is the policy."""

MAC_A, MAC_B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
BEYOND = ("FORWARD", "OUTPUT", "POSTROUTING")
"""Chains the packet itself does not see; what the host answers does."""
PATH = (("raw", 0), ("mangle", 0), ("mangle", 1), ("filter", 1), ("security", 1))


class Recorder(WalkServices):
    """The walk's own services, with every decision answered "no" and remembered."""

    def __init__(self, host: LiveHost, question: Question) -> None:
        super().__init__(Walk(host, question, self.answer))
        self.asked: list[str] = []
        self.unsure: set[Where] = set()

    def answer(self, condition: str) -> bool:
        self.asked.append(condition)
        return False

    def note(self, ctx: HookContext, text: str, rule=None, clauses=(), detail=None) -> None:  # type: ignore[no-untyped-def]
        if "it depends on whether" in text and rule is not None:
            self.unsure.add((rule.table, rule.chain, rule.index))

    def decide(self, condition: Unknown, consistent_key: object = None) -> bool:
        return self.answer(condition.condition)


def counters(ns: LiveNamespace, family: int) -> dict[Where, int]:
    found: dict[Where, int] = {}
    for name in ns.xt_tables(family):
        table: Table = load_table(ns, family, name)
        for chain in table.chains().values():
            for index, rule in enumerate(chain.rules, 1):
                found[name, chain.name, index] = rule.packets
            if chain.policy is not None:
                found[name, chain.name, 0] = chain.packets
    return found


class Wire:
    """``lab`` (the host asked about) with a peer on a cable: eth0, 198.51.100.2/24 and 2001:db8::2/64."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.peer = lab, Lab()
        try:
            self._connect(lab)
        except BaseException:
            self.peer.close()
            raise

    def _connect(self, lab: Lab) -> None:
        n, p = lab.name, self.peer.name
        for name in (n, p):
            for key in ("forwarding=0", "accept_ra=0", "router_solicitations=0", "dad_transmits=0"):
                subprocess.run(["ip", "netns", "exec", name, "sysctl", "-qw", f"net.ipv6.conf.default.{key}"], check=True)
        for command in (f"ip -n {p} link add eth0 address {MAC_A} type veth peer name eth0 address {MAC_B} netns {n}",
                        f"ip -n {p} link set eth0 addrgenmode none", f"ip -n {n} link set eth0 addrgenmode none",
                        f"ip -n {p} link set eth0 up", f"ip -n {n} link set eth0 up",
                        f"ip -n {n} addr add 198.51.100.2/24 dev eth0", f"ip -n {n} addr add 2001:db8::2/64 dev eth0 nodad",
                        f"ip -n {p} addr add 198.51.100.1/24 dev eth0", f"ip -n {p} addr add 2001:db8::1/64 dev eth0 nodad",
                        f"ip -n {n} neigh add 198.51.100.1 lladdr {MAC_A} dev eth0", f"ip -n {n} neigh add 2001:db8::1 lladdr {MAC_A} dev eth0"):
            subprocess.run(command.split(), check=True)
        for key in ("net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0"):
            lab.run("sysctl", "-qw", key)
        with self._inside(p):
            self.raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self.raw.bind(("eth0", 0))

    @staticmethod
    def _inside(name: str):  # type: ignore[no-untyped-def]
        from contextlib import contextmanager
        from os import O_RDONLY, close
        from os import open as open_fd

        from pktdiag.collect.libc import setns

        @contextmanager
        def entered():  # type: ignore[no-untyped-def]
            own, other = open_fd("/proc/thread-self/ns/net", O_RDONLY), open_fd(f"/run/netns/{name}", O_RDONLY)
            try:
                setns(other)
                yield
            finally:
                setns(own)
                close(own)
                close(other)

        return entered()

    def close(self) -> None:
        self.raw.close()
        self.peer.close()

    def send(self, packet: Packet) -> None:
        kind = b"\x08\x00" if len(packet.dst) == 4 else b"\x86\xdd"
        self.raw.send(bytes.fromhex((MAC_B + MAC_A).replace(":", "")) + kind + ip(packet))

    def truth(self, host: LiveHost, packet: Packet, family: int) -> set[Where]:
        """Which counters one packet moves."""
        ns = host.namespace(self.lab.inode)
        host.refresh()
        before = counters(ns, family)
        self.send(packet)
        deadline = time.monotonic() + 3
        while True:
            host.refresh()
            after = counters(ns, family)
            moved = {where for where, count in after.items()
                     if count != before[where] and (where[1] == "INPUT" or where[1] not in BEYOND) and where[0] != "nat"}
            if ("filter", "INPUT", 0) in moved or time.monotonic() > deadline:
                return moved
            time.sleep(0.01)

    def prediction(self, host: LiveHost, packet: Packet, family: int, state: int = CtState.NEW,
                   path: Iterable[tuple[str, int]] = PATH) -> tuple[set[Where], Recorder]:
        ns = host.namespace(self.lab.inode)
        services = Recorder(host, Question(ns.id, packet))
        eth0 = ns.link_named("eth0")
        assert eth0 is not None
        skb = Skb(packet)
        skb.pkt_type, skb.iif = PACKET_HOST, eth0.ifindex
        skb.src_mac, skb.dst_mac = bytes.fromhex(MAC_A.replace(":", "")), bytes.fromhex(MAC_B.replace(":", ""))
        for table, hook in path:
            if table not in ns.xt_tables(family):
                continue
            if table != "raw" and skb.ct is None and skb.ct_state is None:
                skb.ct_state = state
                if state != CtState.INVALID:
                    left, right = (packet.sport, packet.dport) if packet.has_ports else (packet.icmp_id, packet.icmp_type << 8)
                    back = (right, left) if packet.has_ports else (packet.icmp_id, 0)
                    skb.ct = Conn(ConntrackTuple(packet.src, packet.dst, packet.proto, left, right),
                                  ConntrackTuple(packet.dst, packet.src, packet.proto, *back), ns.id)
                    if state == CtState.NEW:
                        account(skb.ct, False, packet, True)
            result = run_table(HookContext(services, ns, family, hook, skb, eth0, None), table)
            if result.action != "accept":
                break
        hits = {(rule.table, rule.chain, rule.index) for rule in services.walk.leg.hits}
        return hits, services
