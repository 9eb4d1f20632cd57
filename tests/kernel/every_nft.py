"""Makes nft rulesets of the pool: probe chains full of matches that only count, and statements followed by what shows them.

Every chain begins with a bare counter. How often that one moved and a rule behind it did not says how often the rule was
looked at and did not match (``coverage``).
"""

from __future__ import annotations

import functools
import re
from random import Random
from typing import NamedTuple

from . import every_nft_pool as pool
from .settings import PORTS
from .topology import Plan

FAMILIES = {"inet": "i", "ip": "4", "ip6": "6", "bridge": "b", "netdev": "n", "arp": "a"}
HOOKS = {"p": "prerouting", "i": "input", "f": "forward", "o": "output", "t": "postrouting", "g": "ingress", "e": "egress"}
OF_FAMILY = {"i": "pifot", "4": "pifot", "6": "pifot", "b": "pifot", "n": "gge", "a": "io"}
PRIORITIES = (-450, -310, -300, -225, -199, -150, -99, 0, 0, 0, 10, 50, 101, 225)
PLACES = {"z": ("po", -300), "r": ("po", -300), "m": ("p", -150), "D": ("po", -100), "S": ("t", 100), "I": ("i", 100), "R": ("o", -150)}
KINDS = {"D": "nat", "S": "nat", "I": "nat", "R": "route"}


OPERATORS = ("cmp ==", "cmp !=", "cmp <", "cmp >", "cmp <=", "cmp >=", "range", "range !=", "lookup", "lookup !", "lookup interval",
             "lookup interval !", "bitwise and", "bitwise and !=")
"""What ``_field`` tags a field's rules with beside the field."""


class Entry(NamedTuple):
    tag: str
    families: str
    where: str
    text: str


@functools.cache
def entries(table: str) -> tuple[Entry, ...]:
    """One table of the pool, in parts."""
    found = []
    for line in getattr(pool, table).strip().splitlines():
        tag, families, where, text = (part.strip() for part in line.split(" | ", 3)) if line.count(" | ") >= 3 else (
            *(part.strip() for part in line.split(" |")[:3]), line.split(" |", 3)[3].strip() if line.count(" |") >= 3 else "")
        found.append(Entry(tag, families, where, text))
    return tuple(found)


@functools.cache
def fields() -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    found = []
    for line in pool.FIELDS.strip().splitlines():
        name, families, values = (part.strip() for part in line.split(" | "))
        found.append((name, families, tuple(values.split())))
    return tuple(found)


class Values:
    """What ``$x`` stands for in one namespace."""

    def __init__(self, plan: Plan, ns: str, family: str, only: str = "") -> None:
        self.plan, self.ns, self.family, self.rng = plan, ns, family, plan.rng
        self.six = only[0] == "6" if only else family == "6" or (family == "i" and plan.ipv6 and plan.chance(0.4))

    def fill(self, text: str) -> str:
        known: dict[str, str] = {}

        def one(found: re.Match[str]) -> str:
            name = found[1]
            if name not in known or name in ("neg", "low", "exists"):
                known[name] = self.draw(name)
            return known[name]

        return re.sub(r"\$(neg|[A-Za-z]+[0-9]?[a-z]*)", one, text).replace("  ", " ").strip()

    def draw(self, name: str) -> str:
        rng, plan = self.rng, self.plan
        if name[0] == "a" and name[1:] in ("", "2", "3", "4"):
            found = [i.v4 for i in plan.interfaces if i.v4] or ["192.0.2.1"]
            number = "a234".index(name[-1])  # never the same within one text
            return rng.choice(found[number::4] or [f"192.0.2.{number + 1}"])
        if name == "b":
            return rng.choice([i.v6 for i in plan.interfaces if i.v6] or ["2001:db8::99"])
        if name in ("p", "p2"):  # never the same within one text
            return str(rng.choice(PORTS[::2] if name == "p" else PORTS[1::2]))
        if name == "d":
            return rng.choice(plan.devices[self.ns] or ["lo"])
        if name == "br":
            return rng.choice(plan.bridges[self.ns] or ["nobr"])
        if name in ("mac", "mac2"):
            return rng.choice(list(plan.macs.values()))
        if name in RULES:
            return rng.choice(RULES[name])
        six = self.six
        if name in ("m", "tu", "tp") or name.startswith("rare"):
            return self._some(name)
        if name == "n4":
            return rng.choice((f"10.{rng.randint(1, max(1, plan.segments))}.0.0/24", "10.0.0.0/8", f"10.{rng.randint(1, 2)}.0.0/30"))
        if name == "n6":
            return f"2001:db8:{rng.randint(1, max(1, plan.segments))}::/64"
        if name == "A":
            return self.draw("b" if six else "a")
        if name == "AP":
            return f"[{self.draw('b')}]:{self.draw('p')}" if six else f"{self.draw('a')}:{self.draw('p')}"
        if name == "AR":
            first = self.draw("A")
            return f"{first}-{first}"
        if name == "SP":
            return f"[{self.draw('b')}]:31000" if six else f"{self.draw('a')}:31000"
        if name == "to":
            return ("ip6 to" if six else "ip to") if self.family == "i" else "to"
        if name == "T":
            return "ipv6_addr" if six else "ipv4_addr"
        raise KeyError(name)

    def _some(self, name: str) -> str:
        """A match that holds for some of the packets, or for few."""
        rng, six = self.rng, self.six
        port = rng.choice(PORTS)
        if name == "tu":
            return f"meta l4proto {rng.choice(('tcp', 'udp'))}"
        if name == "tp":
            return f"{rng.choice(('tcp', 'udp'))} dport {port}"
        if name == "raretcp":
            return f"tcp dport {port}"
        address, word = (self.draw("b"), "ip6") if six or name == "rare6" else (self.draw("a"), "ip")
        if name.startswith("rare"):
            some = f"meta l4proto {rng.choice(('tcp', 'udp'))}"
            return rng.choice((f"{word} daddr {address} th dport {port}", f"{word} saddr {address} {some}", f"{word} daddr {address} {some}"))
        return rng.choice(("meta l4proto udp", "meta l4proto tcp", f"meta l4proto {{ tcp, udp }} th dport {port}", f"{word} daddr {address}", f"{word} saddr != {address}",
                           "meta l4proto != tcp", f"meta l4proto {{ tcp, udp }} th dport != {port}"))


RULES = {
    "neg": ("", "", "!= "), "exists": ("exists", "missing"), "sd": ("saddr", "daddr"), "low": ("0", "1", "2"), "bit": ("0", "1"),
    "four": ("4", "5", "6"), "k": ("1", "2", "3"), "frag": ("4000", "2000"), "over": ("", "over "), "quota": ("1", "100", "300", "100000"),
    "h2": ("0", "1"), "h4": ("0", "1", "2", "3"), "h5": ("5", "!= 5"), "rel": ("==", "!="), "flag": ("syn", "ack", "syn|ack"),
    "flags": ("syn", "ack", "! ack", "syn,ack", "fin,psh,urg", "== syn", "!= syn"), "mssrel": ("1460", "< 1000", "!= 1460", "1000-1500"),
    "state": ("new", "established", "established,related", "invalid", "untracked", "new,untracked"),
    "status": ("dnat", "snat", "seen-reply", "confirmed", "assured", "expected"),
    "type": ("local", "unicast", "broadcast", "{ local, broadcast }"), "osf": ("pktdiag", "unknown"),
    "icmpcode": ("net-unreachable", "host-unreachable", "prot-unreachable", "port-unreachable", "net-prohibited", "host-prohibited",
                 "admin-prohibited"),
    "icmp6code": ("no-route", "admin-prohibited", "addr-unreachable", "port-unreachable"),
    "icmpxcode": ("no-route", "port-unreachable", "host-unreachable", "admin-prohibited"),
    "one": ("meta l4proto udp", "meta l4proto tcp", "meta mark 0"),
}


def probe(plan: Plan, values: Values, family: str, hook: str) -> tuple[list[str], str]:
    """(tags, match text) of one random match for a family and a hook."""
    rng = plan.rng
    if plan.chance(0.5):
        candidates = [f for f in fields() if family in f[1] and hook in pool.HOOKED.get(f[0], hook)]
        if candidates:
            return _field(values, *rng.choice(candidates))
    fitting = [e for e in entries("MATCHES") if family in e.families and (e.where == "*" or hook in e.where)]
    if not fitting:
        return [], ""
    entry = rng.choice(fitting)
    return [entry.tag], values.fill(entry.text)


def _field(values: Values, name: str, _: str, choices: tuple[str, ...]) -> tuple[list[str], str]:
    """A field with one of the operators that suit it."""
    rng = values.rng
    first, second = (values.fill(rng.choice(choices)) for _ in "12")
    ordered = name.split()[-1] in pool.ORDERED or name.startswith("@th")
    forms = [("cmp ==", f"{name} {first}"), ("cmp !=", f"{name} != {first}"), ("lookup", f"{name} {{ {first}, {second} }}"),
             ("lookup !", f"{name} != {{ {first}, {second} }}")]
    if first == second:
        forms[2:] = [("lookup", f"{name} {{ {first} }}")]
    if ordered:
        low, high = sorted((first, second), key=_order)
        forms += [(f"cmp {op}", f"{name} {op} {first}") for op in ("<", "<=", ">", ">=")]
        if low != high:
            forms += [("range", f"{name} {low}-{high}"), ("range !=", f"{name} != {low}-{high}"),
                      ("lookup interval", f"{name} {{ {low}-{high} }}"), ("lookup interval !", f"{name} != {{ {low}-{high} }}")]
    if name in pool.BITS and first[0].isdigit() and "." not in first and ":" not in first:
        forms += [("bitwise and", f"{name} & 0x3 == {int(first) & 3}"), ("bitwise and !=", f"{name} & 0x5 != {int(second) & 5}")]
    tag, text = rng.choice(forms)
    return [name, tag], text


def _order(text: str) -> tuple[int, object]:
    import ipaddress
    if text.lower().startswith("0x"):
        return 0, int(text, 16)
    if text.isdigit():
        return 0, int(text)
    try:
        return 1, int(ipaddress.ip_address(text))
    except ValueError:
        return 2, {"1s": 1, "1h": 2}.get(text, text)  # type: ignore[return-value]


class _Table:
    """One table while it is being made."""

    def __init__(self, plan: Plan, ns: str, family: str, number: int) -> None:
        self.plan, self.ns, self.rng = plan, ns, plan.rng
        self.family, self.letter = family, FAMILIES[family]
        self.name = f"e{number}"
        self.head: list[tuple[str, list[str]]] = []
        self.rules: list[tuple[str, list[str]]] = []
        self.chains = 0

    def values(self, only: str = "") -> Values:
        return Values(self.plan, self.ns, self.letter, only)

    def rule(self, chain: str, text: str, tags: list[str]) -> None:
        if not re.search(r"\bcounter(?! name)", re.sub(r"{.*?}", "", text)):
            text = f"counter {text}"  # no rule without a counter of its own: it is what the kernel is asked by
        self.rules.append((f"add rule {self.family} {self.name} {chain} {text}", tags))

    def chain(self, hook: str, priority: int, kind: str = "filter") -> str:
        name = f"c{self.chains}"
        self.chains += 1
        device = f" device {self.rng.choice(self.plan.devices[self.ns] or ['lo'])}" if self.letter == "n" else ""
        self.head.append((f"add chain {self.family} {self.name} {name} "
                          f"{{ type {kind} hook {HOOKS[hook]}{device} priority {priority}; }}", []))
        self.rule(name, "counter", [])
        return name

    def probes(self, chain: str, hook: str, count: int) -> None:
        for _ in range(count):
            values = self.values()
            tags, text = probe(self.plan, values, self.letter, hook)
            if text:
                self.rule(chain, text if " vmap " in text or text.endswith(" counter") else f"{text} counter", tags)

    def statement(self, entry: Entry) -> None:
        rng = self.rng
        hooks, priority, kind = entry.where, 0, KINDS.get(entry.where, "filter")
        if hooks in PLACES:
            hooks, priority = PLACES[hooks]
        else:
            hooks = OF_FAMILY[self.letter] if hooks == "*" else hooks
            priority = rng.choice(PRIORITIES) if self.letter != "n" else 0
        hook = rng.choice(hooks)
        chain = self.chain(hook, priority, kind)
        values = self.values("" if {"4", "6"} <= set(entry.families) else "6" if "6" in entry.families else "4")
        for number, text in enumerate(values.fill(entry.text).split(" ;; ")):
            # What shows the effect of a statement is a match like any other.
            shown = [name for name, _, _ in fields() if number and text.startswith(f"{name} ") and text.endswith(" counter")]
            self.rule(chain, text, [entry.tag, *shown])
        if kind == "filter":
            self.probes(chain, hook, rng.choice((0, 1)))
        self.rule(chain, "counter", [])  # whoever comes here was let through by all of the above

    def finish(self) -> None:
        """Declares what the rules name, then writes it all down."""
        if any(re.search(r"\bu[0-2]\b|@verdicts", text) for text, _ in self.rules):
            self.head[:0] = [(f"add chain {self.family} {self.name} u{i}", []) for i in (0, 1, 2)]
            self.rule("u0", "counter", [])
            self.rule("u2", "counter accept", [])
            self.rule("u1", f"counter {self.rng.choice(('accept', 'return', 'continue'))}", [])
            self.probes("u0", "-", 2)
        wanted = " ".join(text for text, _ in self.rules)
        declared: list[tuple[str, list[str]]] = []
        for entry in entries("DECLARATIONS"):
            kind, families = entry.families, entry.where
            if self.letter not in families or not re.search(re.escape(entry.tag) + r"(?![a-z0-9])", wanted):
                continue
            declared.append((f"add {kind} {self.family} {self.name} {entry.tag.strip('@').strip(chr(34))} {{ "
                             f"{self.values().fill(entry.text)} }}", [f"set {entry.tag}"]))
            wanted += " " + declared[-1][0]
        # What declarations name themselves comes first: objects before the maps that hold them.
        declared.sort(key=lambda line: " map " in line[0])
        lines: list[tuple[str, list[str]]] = [(f"add table {self.family} {self.name}", [])]
        users = [line for line in self.head if re.search(r" u[0-2]$", line[0])]
        bases = [line for line in self.head if line not in users]
        for text, tags in (*lines, *users, *declared, *bases, *self.rules):
            item = {"do": "nft", "ns": self.ns, "line": text}
            if tags:
                item["tags"] = tags  # type: ignore[assignment]
            self.plan.items.append(item)


def nft_everything(plan: Plan, ns: str, unknowable: bool) -> None:
    """One or two tables, each with a chain of matches and some statements."""
    rng: Random = plan.rng
    families = ["inet", "inet", "ip", "ip", "netdev", "arp"]
    if plan.ipv6:
        families += ["ip6", "ip6"]
    if plan.bridges[ns]:
        families += ["bridge"] * 3
    for number in range(rng.choice((1, 2, 2))):
        family = rng.choice(families)
        table = _Table(plan, ns, family, number)
        hook = rng.choice(OF_FAMILY[table.letter])
        chain = table.chain(hook, rng.choice(PRIORITIES) if table.letter != "n" else 0)
        table.probes(chain, hook, rng.choice((10, 14, 20)))
        table.rule(chain, "counter", [])
        fitting = [e for e in entries("STATEMENTS") if table.letter in e.families]
        for _ in range(min(len(fitting), rng.choice((2, 3, 4)))):
            table.statement(rng.choice(fitting))
        if unknowable:
            fitting = [e for e in entries("UNKNOWABLE") if table.letter in e.families]
            for _ in range(rng.choice((1, 2)) if fitting else 0):
                table.statement(rng.choice(fitting))
        table.finish()
