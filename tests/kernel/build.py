"""Makes a described host: namespaces, then what is in them, by the ordinary tools in batch mode."""

from __future__ import annotations

import array
import fcntl
import os
import re
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from typing import Any

from pktdiag.collect.netlink import attribute, text_attribute

from . import fingerprints, raw_nft
from .host import Host, Item, namespaces, of, restore_text, restore_tool
from .lab import Netns

QUIET_SYSCTLS = {
    # No traffic but ours: no DAD, RS or MLD; a neighbour that does not answer is known to be absent within 60 ms.
    "net/ipv6/conf/default/accept_dad": "0", "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/router_solicitations": "0", "net/ipv6/conf/default/addr_gen_mode": "1",
    # Multicast listeners report once, within REPORTED, instead of at some moment of the first seconds.
    "net/ipv6/conf/default/mldv2_unsolicited_report_interval": "1", "net/ipv6/conf/default/mldv1_unsolicited_report_interval": "1",
    "net/ipv4/tcp_synack_retries": "0", "net/ipv4/igmp_link_local_mcast_reports": "0",
    # Error messages are what is being looked at: not limited.
    "net/ipv4/icmp_ratelimit": "0", "net/ipv6/icmp/ratelimit": "0", "net/ipv4/icmp_ratemask": "0",
}
REPORTED = 0.03
"""Seconds until the listener reports of new links are out (net/ipv6/mcast.c: mld_ifc_start_work adds two jiffies, twice)."""
# Per device, because neigh/default exists in the initial namespace only (net/core/neighbour.c: neigh_sysctl_register).
SLOWER = int(os.environ.get("JUDGE_SLOWER", "1"))
"""How much longer answers may take, where the kernel is an emulated one."""
QUICK_NEIGHBOURS = {"retrans_time_ms": str(20 * SLOWER), "mcast_solicit": "2", "ucast_solicit": "2"}
SIOCETHTOOL, ETHTOOL_GLINK = 0x8946, 10
IP_TRANSPARENT, SO_MARK = 19, 36
_ENV = {**os.environ, "XTABLES_LOCKFILE": "/run/netns/.xtlock"}


class BuildError(Exception):
    """The description cannot be made on this kernel; the generator's fault, not the walk's."""


class Listener:
    """One listening socket of the lab; ``mss`` is the segment size its SYN-ACKs announce, which tells TCP listeners apart."""

    def __init__(self, ns: Netns, item: Item, sock: socket.socket, mss: int) -> None:
        self.ns, self.item, self.sock, self.mss = ns, item, sock, mss


class Built:
    """A host that exists."""

    def __init__(self, host: Host, home: int, lenient: bool = False) -> None:
        self.host = host
        self.namespaces: dict[str, Netns] = {}
        self.listeners: list[Listener] = []
        self.begun: dict[tuple[str, int, str, int], int] = {}
        """The first sequence number of either side of each TCP connection, by (source, port, destination, port)."""
        self.failed: list[str] = []
        self.refused: list[tuple[str, list[str]]] = []
        """What the tools refused and why, with the kinds of rules it stands for."""
        try:
            for name in namespaces(host):
                self.namespaces[name] = Netns(name, home)
            quiet = dict(QUIET_SYSCTLS)
            self.reports = True
            if not any("2001:db8" in item.get("line", "") for item in host["items"]):
                # A host that has no IPv6 address needs no multicast listener reports either.
                self.reports = False
                quiet |= {"net/ipv6/conf/all/disable_ipv6": "1", "net/ipv6/conf/default/disable_ipv6": "1"}
            for ns in self.namespaces.values():
                with ns.inside():
                    for path, value in quiet.items():
                        _write_sysctl(path, value)
            for ns in self.namespaces.values():
                with ns.inside():
                    self._nft(ns.name, early=True)
            for ns in self.namespaces.values():
                with ns.inside():
                    self._batch("ip", of(host, "ip", ns.name), first=True)
            for ns in self.namespaces.values():
                with ns.inside():
                    for family in ("ipv4", "ipv6"):
                        for device in os.listdir(f"/proc/sys/net/{family}/neigh"):
                            for name, value in QUICK_NEIGHBOURS.items():
                                _write_sysctl(f"net/{family}/neigh/{device}/{name}", value)
                    self._batch("ip", of(host, "ip", ns.name), first=False)
                    self._batch("bridge", of(host, "bridge", ns.name), first=False)
                    for item in of(host, "sysctl", ns.name):
                        if not _write_sysctl(item["path"], item["value"]):
                            self.failed.append(f"sysctl {item['path']}={item['value']}")
                    self._rules(ns.name)
                    for item in of(host, "listen", ns.name):
                        self._listen(ns, item)
            self.sync_links()
            if self.reports:
                time.sleep(REPORTED)
            if self.failed and not lenient:
                raise BuildError("; ".join(self.failed))
        except BaseException:
            self.close()
            raise

    def _batch(self, tool: str, items: list[Item], first: bool) -> None:
        # Links are made in every namespace before anything else is done anywhere: a peer may be configured by its own side.
        lines = [item["line"] for item in items]
        if tool == "ip":
            lines = [line for line in lines if line.startswith("link add") is first]
            if first:
                lines.insert(0, "link set lo up")
        if not lines:
            return
        for name, ns in self.namespaces.items():
            lines = [line.replace(f"NETNS({name})", ns.path) for line in lines]
        self._run([tool, "-force", "-batch", "-"], "\n".join(lines) + "\n")

    def _rules(self, ns: str) -> None:
        self._load(of(self.host, "ipset", ns), ["ipset", "-exist", "restore"], lambda items: "".join(item["line"] + "\n" for item in items))
        rules = of(self.host, "xt", ns)
        for name in sorted({found[1] for item in rules if (found := re.search(r"--nfacct-name (\S+)", item["line"]))}):
            make_accounting_object(name)
        for tool in dict.fromkeys(item["tool"] for item in rules):
            self._load([item for item in rules if item["tool"] == tool], [restore_tool(tool)], restore_text)
        if any(re.search(r"\bosf\b", item["line"]) for item in (*rules, *of(self.host, "nft", ns))):
            fingerprints.load()
        self._nft(ns, early=False)

    def _nft(self, ns: str, early: bool) -> None:
        """``early``: before the first device is made, since hooks of one priority run in the order of their age."""
        rules = [item for item in of(self.host, "nft", ns) if item.get("early", False) is early]
        self._load(rules, ["nft", "-f", "-"], lambda items: "".join(raw_nft.for_nft(item["line"]) + "\n" for item in items))
        raw_nft.put_in_place([item["line"] for item in rules])

    def _load(self, items: list[Item], argv: list[str], render: Callable[[list[Item]], str]) -> None:
        """Loads rules in one transaction. The generator proposes, the tool disposes: a line it refuses is struck from the
        description and the rest is tried again."""
        for _ in range(60):
            if not items:
                return
            text = render(items)
            done = subprocess.run(argv, input=text, text=True, capture_output=True, env=_ENV)
            if not done.returncode:
                return
            found = re.search(r"/dev/stdin:(\d+):|line:? (\d+)", done.stderr)
            line = text.splitlines()[int(found[1] or found[2]) - 1] if found else ""
            refused = next((item for item in items if line in (item["line"], raw_nft.for_nft(item["line"]))), None)
            if refused is None:  # COMMIT, or no number: halve the blame onto the last rule
                refused = items[-1]
            self.refused.append((f"{argv[0]}: {refused['line']}: {done.stderr.strip().splitlines()[0]}", refused.get("tags", [])))
            items = [item for item in items if item is not refused]
            self.host["items"].remove(refused)

    def _run(self, argv: list[str], text: str) -> None:
        done = subprocess.run(argv, input=text, text=True, capture_output=True, env=_ENV)
        if done.returncode or done.stderr.strip():
            self.failed.append(f"{argv[0]}: {done.stderr.strip()}\n{text}")

    def _listen(self, ns: Netns, item: Item) -> None:
        mss = 1000 + len(self.listeners)
        try:
            self.listeners.append(Listener(ns, item, open_listener(item, mss), mss))
        except OSError as error:
            self.failed.append(f"listen {item}: {error}")

    def forget_half_open(self, ns: str) -> None:
        """Opens the TCP listeners of a namespace anew: connections begun and never finished are gone with the old ones, so
        that what a later segment meets does not depend on sequence numbers nobody can predict."""
        for listener in self.listeners:
            if listener.ns.name == ns and listener.item["proto"] == "tcp":
                listener.sock.close()
                with listener.ns.inside():
                    listener.sock = open_listener(listener.item, listener.mss)

    def sync_links(self) -> None:
        """Makes carrier changes take effect now: operstate and the LINKDOWN marks of routes follow in a work queue up to a
        second later (net/core/link_watch.c), unless somebody asks ethtool for the link state."""
        for ns in self.namespaces.values():
            with ns.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for _, device in socket.if_nameindex():
                    value = array.array("I", (ETHTOOL_GLINK, 0))
                    try:
                        fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP", device.encode(), value.buffer_info()[0]) + bytes(16))
                    except OSError:
                        continue  # a device without the operation has no carrier to lose

    def ifindex(self, ns: str, device: str) -> int:
        with self.namespaces[ns].inside():
            return socket.if_nametoindex(device)

    def close(self) -> None:
        for listener in self.listeners:
            listener.sock.close()
        self.listeners.clear()
        for ns in self.namespaces.values():
            ns.close()
        self.namespaces.clear()

    def __enter__(self) -> Built:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def open_listener(item: Item, mss: int) -> socket.socket:
    """A listening socket in the namespace the caller is in."""
    family = socket.AF_INET6 if ":" in item["addr"] else socket.AF_INET
    kind = socket.SOCK_STREAM if item["proto"] == "tcp" else socket.SOCK_DGRAM
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(item.get("v6only", True)))
        if item.get("dev"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, item["dev"].encode())
        if item.get("reuse"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if item.get("transparent"):
            sock.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
        if item.get("mark"):
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, item["mark"])
        sock.bind((item["addr"], item["port"]))
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
            sock.listen(16)
    except OSError:
        sock.close()
        raise
    return sock


def _write_sysctl(path: str, value: str) -> bool:
    try:
        with open(f"/proc/sys/{path}", "w") as file:
            file.write(value)
    except OSError:
        return False
    return True


def make_accounting_object(name: str) -> None:
    """What ``nfacct add`` does; "…-packets-N", "…-bytes-N" have a quota. net/netfilter/nfnetlink_acct.c: nfnl_acct_new"""
    body = bytes(4) + text_attribute(1, name)
    limited = re.search(r"-(packets|bytes)-(\d+)$", name)
    if limited:
        body += attribute(5, struct.pack(">I", 1 if limited[1] == "packets" else 2)) + attribute(6, struct.pack(">Q", int(limited[2])))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netfilter:
        netfilter.send(struct.pack("=IHHII", 16 + len(body), 7 << 8, 1 | 4 | 0x400, 1, 0) + body)
        netfilter.recv(4096)  # a kernel without them refuses the rules, too
