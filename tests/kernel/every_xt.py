"""Makes iptables, ip6tables, ebtables and arptables rulesets of the pool, legacy and nft, with the ipsets they name."""

from __future__ import annotations

import functools
import re

from . import every_xt_pool as pool
from .every_nft import Values
from .rules_xt import TABLES
from .settings import PORTS
from .topology import Plan

LETTERS = {"P": "PREROUTING", "I": "INPUT", "F": "FORWARD", "O": "OUTPUT", "T": "POSTROUTING"}
CHOICES = {
    "not": ("", "", "! "), "proto": ("tcp", "udp", "icmp"), "tuproto": ("tcp", "udp"), "low": ("0", "1", "2"), "k": ("1", "2", "3"),
    "chunks": ("any INIT", "only INIT", "all DATA", "only DATA,SACK", "any DATA:b"), "dtype": ("REQUEST", "RESPONSE", "DATA,ACK"),
    "sdtype": ("src-type", "dst-type"), "types": ("LOCAL", "UNICAST", "BROADCAST", "LOCAL,BROADCAST"), "aboveupto": ("above", "upto"),
    "ctstate": ("NEW", "ESTABLISHED", "RELATED,ESTABLISHED", "INVALID", "UNTRACKED", "DNAT", "SNAT"),
    "ctstatus": ("NONE", "SEEN_REPLY", "ASSURED", "CONFIRMED", "EXPECTED"), "ctdir": ("ORIGINAL", "REPLY"),
    "cbdir": ("original", "reply", "both"), "dscpn": ("0", "4", "10", "46"), "icmptype": ("any", "8", "0", "3/3", "echo-request", "8/1"),
    "icmp6type": ("128", "129", "echo-request", "1/4"), "sdrange": ("src-range", "dst-range"),
    "len": (":60", "61:", "28:40", "40", "100:500"), "owner": ("0", "5", "0-100"), "pkt": ("unicast", "broadcast", "multicast"),
    "pol": ("none", "ipsec"), "rpf": ("", "--invert", "--loose", "--validmark", "--accept-local --invert"),
    "srcdst": ("src", "dst"), "sockopt": ("", "--transparent", "--nowildcard"), "state4": ("NEW", "ESTABLISHED,RELATED", "INVALID", "UNTRACKED"),
    "tcpflags": ("SYN,ACK SYN", "ALL NONE", "SYN,RST,ACK,FIN SYN", "ALL ALL", "ACK ACK"), "tcpopt": ("2", "4", "8", "5", "254"),
    "year": ("2025", "2035"), "h0": ("00:00", "12:00"), "h1": ("11:59", "23:59:59"), "tos": ("0x10", "0x10/0x3f", "0/0xfc"), "ttl": ("eq 64", "gt 2", "lt 64"),
    "v6h": ("none", "prot", "dst", "frag"), "rejectwith": (
        "icmp-net-unreachable", "icmp-host-unreachable", "icmp-proto-unreachable", "icmp-port-unreachable", "icmp-net-prohibited",
        "icmp-host-prohibited", "icmp-admin-prohibited"),
    "rejectwith6": ("icmp6-no-route", "icmp6-adm-prohibited", "icmp6-addr-unreachable", "icmp6-port-unreachable"), "plow": ("53", "80", "443"),
    "acct": ("acct", "acct", "acct-packets-1", "acct-packets-1000", "acct-bytes-100", "acct-bytes-100000"),
}


@functools.cache
def lines(table: str) -> tuple[tuple[str, ...], ...]:
    """One table of the pool, its last column whole."""
    columns = {"MATCHES": 4, "TARGETS": 5, "UNKNOWABLE": 5}.get(table, 2)
    return tuple(tuple(part.strip() for part in line.split(" | ", columns - 1)) for line in getattr(pool, table).strip().splitlines())


class _Values(Values):
    """``$x`` of the xtables pool, some of which mean something else than with nft."""

    names = 0

    def draw(self, name: str) -> str:
        rng = self.rng
        if name in CHOICES:
            chosen = rng.choice(CHOICES[name])
            if name == "types" and self.family == "6":
                chosen = chosen.replace("BROADCAST", "MULTICAST")
            return "icmpv6" if chosen == "icmp" and self.family == "6" else chosen
        if name == "dp":
            return self.draw("d")[:1]
        if name in ("hl", "rc", "idle"):
            return f"{name}{self.ns}{rng.randint(0, 1) if name == 'rc' else rng.randint(0, 10 ** 6)}"
        return super().draw(name)

    def fill(self, text: str) -> str:
        def one(found: re.Match[str]) -> str:
            return self.draw(found[1])

        return re.sub(r"\$(not|[A-Za-z]+[0-9]?[a-z]*)", one, text).replace("  ", " ").strip()

    def _some(self, name: str) -> str:
        rng = self.rng
        port, address = rng.choice(PORTS), self.draw("b" if self.family == "6" else "a")
        if name == "tu":
            return f"-p {rng.choice(('tcp', 'udp'))}"
        if name == "rare":
            some = f"-p {rng.choice(('tcp', 'udp'))}"
            return rng.choice((f"-d {address} {some} --dport {port}", f"-s {address} {some}", f"-d {address} {some}"))
        return rng.choice(("-p udp", "-p tcp", f"-p tcp --dport {port}", f"-d {address}", f"! -s {address}", "! -p tcp"))


class _Maker:
    def __init__(self, plan: Plan, ns: str, unknowable: bool) -> None:
        self.plan, self.ns, self.rng, self.unknowable = plan, ns, plan.rng, unknowable
        self.sets: set[str] = set()

    def line(self, tool: str, table: str, text: str, tags: tuple[str, ...] = ()) -> None:
        item = {"do": "xt", "ns": self.ns, "tool": tool, "table": table, "line": text}
        if tags:
            item["tags"] = list(tags)
        self.plan.items.append(item)

    def table(self, tool: str, table: str) -> None:
        rng, plan = self.rng, self.plan
        family = "6" if tool.startswith("ip6") else "4"
        values = _Values(plan, self.ns, family)
        chains = rng.sample(TABLES[table], min(len(TABLES[table]), rng.choice((1, 2))))
        for chain in chains:
            letter = next(key for key, name in LETTERS.items() if name == chain)
            rules: list[tuple[str, tuple[str, ...]]] = [("", ())]
            where = {letter} | ({"p"} if letter == "P" and table in ("raw", "mangle") else set())
            fitting = [m for m in lines("MATCHES") if family in m[1] and ("n" not in m[1] or tool.endswith("nft")) and (m[2] == "*" or where & set(m[2]))]
            chosen: list[tuple[str, ...]] = [rng.choice(fitting) for _ in range(rng.choice((6, 10, 14)) if table != "nat" else 2)]
            for tag, _, _, text in chosen:
                rules.append((values.fill(text), (tag,)))
            pools = ["TARGETS"] * (rng.choice((2, 3)) if family == "4" else 3) + (["UNKNOWABLE"] if self.unknowable else [])
            for name in pools:
                targets = [t for t in lines(name) if family in t[1] and ("n" not in t[1] or tool.endswith("nft"))
                           and table in t[2].split() and (t[3] == "*" or letter in t[3])]
                if targets:
                    tag, _, _, _, text = rng.choice(targets)
                    rules += [(each, (tag,)) for each in values.fill(text).split(" ;; ")]
                    if table != "nat":
                        tag, _, _, text = rng.choice(fitting)
                        rules.append((values.fill(text), (tag,)))
            rules.append(("", ()))  # whoever comes here was let through by all of the above
            for text, tags in rules:
                for name in re.findall(r"(?:match|add|del|map)-set (\S+)", text):
                    self.need(name, values)
                self.line(tool, table, f"-A {chain} {text}".strip(), tags)

    def need(self, name: str, values: Values) -> None:
        if name not in self.sets:
            self.sets.add(name)
            text = next(t for n, t in lines("IPSETS") if n == name)
            for each in values.fill(text).split(" ;; "):
                self.plan.items.append({"do": "ipset", "ns": self.ns, "line": each, "tags": [f"ipset {name}"]})

    def frames(self, tool: str, rules: str, targets: str, chains: tuple[str, ...]) -> None:
        rng = self.rng
        values = _Values(self.plan, self.ns, "4")
        chain = rng.choice(chains)
        self.line(tool, "filter", f"-A {chain}" + (" -j CONTINUE" if tool.startswith("eb") else ""))
        for tag, text in rng.sample(lines(rules), min(8, len(lines(rules)))):
            if "--logical-in" in text and chain == "OUTPUT":
                text = text.replace("-in", "-out")
            end = " -j CONTINUE" if tool.startswith("eb") else ""
            self.line(tool, "filter", f"-A {chain} {values.fill(text)}{end}", (tag,))
        tag, text = rng.choice(lines(targets))
        self.line(tool, "filter", f"-A {chain} {values.fill(text)}", (tag,))
        self.line(tool, "filter", f"-A {chain}" + (" -j CONTINUE" if tool.startswith("eb") else ""))


def xt_everything(plan: Plan, ns: str, unknowable: bool) -> None:
    """One back end, one to three tables; with a bridge, now and then ebtables or arptables beside them."""
    rng = plan.rng
    maker = _Maker(plan, ns, unknowable)
    backend = rng.choice(("nft", "legacy"))
    tools = [f"ip6tables-{backend}"] if plan.ipv6 and plan.chance(0.5) else [f"iptables-{backend}"]
    for tool in tools:
        for table in rng.sample(("filter", "mangle", "mangle", "filter", "raw", "nat", "security"), rng.choice((1, 2))):
            if not any(i["do"] == "xt" and (i["ns"], i["tool"], i["table"]) == (ns, tool, table) for i in plan.items):
                maker.table(tool, table)
    if plan.bridges[ns] and plan.chance(0.6):
        maker.frames("ebtables-nft", "EBTABLES", "EBTARGETS", ("INPUT", "FORWARD", "OUTPUT"))
    if plan.chance(0.25):
        maker.frames("arptables-nft", "ARPTABLES", "ARPTARGETS", ("INPUT", "OUTPUT"))
