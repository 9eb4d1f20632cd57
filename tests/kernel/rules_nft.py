"""Invents nft rulesets: families, base chains at odd priorities, matches, sets, maps, jumps, NAT."""

from __future__ import annotations

from random import Random

from .settings import PORTS
from .topology import Plan

PRIORITIES = (-310, -300, -225, -200, -199, -150, -100, -99, -10, 0, 0, 0, 1, 10, 50, 100, 101, 225, 300)
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
REJECTS = {"ip": ("reject", "reject with icmp host-unreachable", "reject with icmp admin-prohibited", "reject with tcp reset"),
           "inet": ("reject", "reject with icmpx admin-prohibited", "reject with icmpx host-unreachable", "reject with icmpx no-route")}


class Ruleset:
    """One namespace's nft statements while they are being made up."""

    def __init__(self, plan: Plan, ns: str) -> None:
        self.plan, self.ns, self.rng = plan, ns, plan.rng
        self.devices = plan.devices[ns] or ["lo"]
        self.addresses = [i.v4 for i in plan.interfaces if i.v4] or ["192.0.2.1"]
        self.addresses6 = [i.v6 for i in plan.interfaces if i.v6] or ["2001:db8::99"]

    def line(self, text: str) -> None:
        self.plan.items.append({"do": "nft", "ns": self.ns, "line": text})

    def table(self, family: str, number: int) -> None:
        rng, plan = self.rng, self.plan
        name = f"t{number}"
        self.line(f"add table {family} {name}")
        regular = [f"u{i}" for i in range(rng.choice((0, 0, 1, 2)))]
        for chain in regular:
            self.line(f"add chain {family} {name} {chain}")
        sets = self._sets(family, name) if plan.chance(0.4) else []
        hooks = HOOKS
        bases = []
        for i in range(rng.choice((1, 1, 2, 3))):
            hook, priority = rng.choice(hooks), rng.choice(PRIORITIES)
            policy = " policy drop;" if plan.chance(0.08) else ""
            self.line(f"add chain {family} {name} c{i} {{ type filter hook {hook} priority {priority};{policy} }}")
            bases.append((f"c{i}", hook, priority))
        if family != "bridge" and plan.chance(0.45):
            for i in range(rng.choice((1, 1, 2))):
                hook = rng.choice(("prerouting", "prerouting", "postrouting", "postrouting", "output", "input"))
                priority = {"prerouting": -100, "output": -100}.get(hook, 100) + rng.choice((0, 0, 0, -5, 7))
                self.line(f"add chain {family} {name} n{i} {{ type nat hook {hook} priority {priority}; }}")
                for _ in range(rng.choice((1, 1, 2))):
                    self.line(f"add rule {family} {name} n{i} {self._match(family, hook, sets)}counter {self._nat(family, hook)}".rstrip())
        if family != "bridge" and plan.chance(0.06):
            self.line(f"add chain {family} {name} r0 {{ type route hook output priority {rng.choice((-150, 0))}; }}")
            self.line(f"add rule {family} {name} r0 {self._match(family, 'output', sets)}counter meta mark set {rng.choice((1, 2, 3))}")
        for number_, chain in enumerate(regular):
            for _ in range(rng.choice((1, 2))):
                # Jumps go to later chains only: no loops.
                self._rule(family, name, chain, "", sets, regular[number_ + 1:])
        for chain, hook, priority in bases:
            for _ in range(rng.choice((1, 2, 3, 4))):
                self._rule(family, name, chain, hook, sets, regular, priority)

    def _sets(self, family: str, table: str) -> list[str]:
        rng = self.rng
        self.line(f"add set {family} {table} ports {{ type inet_service; }}")
        self.line(f"add element {family} {table} ports {{ {', '.join(str(p) for p in rng.sample(PORTS, 2))} }}")
        self.line(f"add set {family} {table} nets {{ type ipv4_addr; flags interval; }}")
        self.line(f"add element {family} {table} nets {{ 10.{rng.randint(1, 4)}.0.0/24, 192.0.2.0-192.0.2.9 }}")
        self.line(f"add set {family} {table} pairs {{ type ipv4_addr . inet_service; }}")
        self.line(f"add element {family} {table} pairs {{ {rng.choice(self.addresses)} . {rng.choice(PORTS)} }}")
        return ["ports", "nets", "pairs"]

    def _rule(self, family: str, table: str, chain: str, hook: str, sets: list[str], jumps: list[str], priority: int = 0) -> None:
        match = self._match(family, hook, sets)
        self.line(f"add rule {family} {table} {chain} {match}counter {self._verdict(family, hook, jumps, match, priority)}".rstrip())

    def _match(self, family: str, hook: str, sets: list[str]) -> str:
        rng = self.rng
        count = rng.choice((0, 1, 1, 1, 2, 2, 3))
        return "".join(self._one(family, hook, sets) + " " for _ in range(count))

    def _one(self, family: str, hook: str, sets: list[str]) -> str:
        rng = self.rng
        dev, address, port = rng.choice(self.devices), rng.choice(self.addresses), rng.choice(PORTS)
        neg = rng.choice(("", "", "", "!= "))
        choices = [
            f"ip saddr {neg}{address}", f"ip daddr {neg}{address}", f"ip daddr {neg}{address.rsplit('.', 1)[0]}.0/24",
            f"ip saddr {neg}10.0.0.0/8", f"tcp dport {neg}{port}", f"udp dport {neg}{port}", f"meta l4proto {{ tcp, udp }} th dport {neg}{{ {port}, 20000-20004 }}",
            f"meta l4proto {neg}{rng.choice(('tcp', 'udp', 'icmp', '{ tcp, udp }'))}", f"ip protocol {neg}{rng.choice(('tcp', 'udp', 'icmp'))}",
            f"ip ttl {rng.choice(('< 64', '> 2', '63', '!= 64'))}", f"ip length {rng.choice(('> 100', '< 61', '20-60'))}",
            f"meta length {rng.choice(('> 100', '< 61'))}", f"meta mark {neg}{rng.choice((0, 1, 2))}", f"meta mark {neg}{rng.choice((0, 1, 2))}",
            f"tcp flags {rng.choice(('syn', '& (syn|ack) == syn', '& (fin|syn|rst|ack) != syn', '! ack'))}",
            f"icmp type {neg}{rng.choice(('echo-request', 'echo-reply', 'destination-unreachable'))}",
            f"meta pkttype {rng.choice(('host', 'broadcast', 'other'))}", f"ip dscp {neg}0", f"tcp sport {neg}{port}", f"udp sport {neg}{port}",
            f"ip saddr {{ {address}, 192.0.2.99 }}", f"ip daddr != {{ {address}, {rng.choice(self.addresses)} }}"
            if rng.random() < 0.5 else f"ip daddr != {{ {address} }}",
            f"udp length {rng.choice(('> 30', '< 30'))}", "ip frag-off & 0x4000 != 0", "meta iifkind veth", f"ip saddr & 0.0.0.1 == {rng.choice(('0.0.0.0', '0.0.0.1'))}",
        ]
        if family == "bridge":
            choices += [f"ether daddr {neg}{rng.choice(list(self.plan.macs.values()))}", "ether type ip", "ether type arp",
                        f"ether saddr {neg}{rng.choice(list(self.plan.macs.values()))}"]
        if family == "inet" or family == "bridge":
            choices += [f"meta nfproto {rng.choice(('ipv4', 'ipv6'))}"] if family == "inet" else []
        if family == "inet" and self.plan.ipv6:
            choices += [f"ip6 daddr {neg}{rng.choice(self.addresses6)}", f"ip6 hoplimit {rng.choice(('64', '63', '< 64'))}"] * 2
        if hook in ("prerouting", "input", "forward"):
            choices += [f"iifname {neg}\"{dev}\"", f"iif {neg}{dev}"] * 2
        if hook in ("output", "forward", "postrouting"):
            choices += [f"oifname {neg}\"{dev}\"", f"oif {neg}{dev}"] * 2
        if family != "bridge":
            choices += [f"ct state {neg}{rng.choice(('new', 'established', 'established,related', 'invalid', 'untracked', 'new,untracked'))}"] * 3
            choices += [f"ct mark {neg}{rng.choice((0, 1))}", f"ct status {rng.choice(('dnat', 'snat', 'seen-reply', 'confirmed'))}",
                        f"ct direction {rng.choice(('original', 'reply'))}", f"ct original ip saddr {address}" if family != "inet" else "ct state new"]
            if hook:
                choices += [f"fib daddr type {neg}{rng.choice(('local', 'unicast', 'broadcast'))}"]
            if hook == "prerouting":
                choices += [f"fib saddr . iif oif {rng.choice(('missing', 'exists'))}", "fib saddr type local"]
            if hook == "output":
                choices += ["meta skuid 0", "meta skuid != 0"]
        if sets:
            choices += [f"meta l4proto {{ tcp, udp }} th dport {neg}@ports", f"ip saddr {neg}@nets", f"ip daddr {neg}@nets", f"meta l4proto {{ tcp, udp }} ip daddr . th dport {neg}@pairs"]
        return rng.choice(choices)

    def _verdict(self, family: str, hook: str, jumps: list[str], match: str, priority: int) -> str:
        rng = self.rng
        draw = rng.random()
        if draw < 0.3:
            return ""
        if draw < 0.5:
            return "accept"
        if draw < 0.6:
            return "drop"
        if draw < 0.66:
            return "return"
        if draw < 0.76 and jumps:
            return f"{rng.choice(('jump', 'jump', 'goto'))} {rng.choice(jumps)}"
        if draw < 0.81:
            return f"meta mark set {rng.choice((1, 2, 3))}"
        if draw < 0.84 and family != "bridge":
            return f"ct mark set {rng.choice((1, 'meta mark'))}"
        if draw < 0.89 and hook in ("input", "forward", "output") and family in REJECTS:
            kind = rng.choice(REJECTS[family])
            if "tcp reset" in kind and "tcp" not in match:
                return "drop"
            return "reject" if "tcp reset" in kind and "!= tcp" in match else kind
        if draw < 0.91 and priority <= -300 and hook in ("prerouting", "output") and family != "bridge":
            return "notrack"
        if draw < 0.94:
            return f"meta l4proto {{ tcp, udp }} th dport vmap {{ {rng.choice(PORTS)} : drop, {20000 + rng.randint(0, 9)} : accept }}"
        if draw < 0.95 and family == "ip":
            return rng.choice(("ip ttl set 30", "ip dscp set 0x2e"))
        return ""

    def _nat(self, family: str, hook: str) -> str:
        rng = self.rng
        kind = "ip " if family == "inet" else ""
        address, port = rng.choice(self.addresses), rng.choice(PORTS)
        if rng.random() < 0.1:
            return rng.choice(("accept", "return", ""))
        if hook in ("prerouting", "output"):
            need = f"meta l4proto {rng.choice(('tcp', 'udp'))} "
            return rng.choice((f"dnat {kind}to {address}", f"dnat {kind}to {address}",
                               _after(need, f"dnat {kind}to {address}:{port}"), _after(need, f"redirect to :{port}"), "redirect"))
        if hook == "postrouting":
            return rng.choice(("masquerade", "masquerade", f"snat {kind}to {address}", f"snat {kind}to 192.0.2.200"))
        return f"snat {kind}to {address}"


def _after(match: str, statement: str) -> str:
    """A statement with ports needs a transport match in front of it (nft insists)."""
    return match + statement


def nft_rules(plan: Plan, ns: str) -> None:
    """A ruleset of one to three tables for one namespace."""
    rng: Random = plan.rng
    maker = Ruleset(plan, ns)
    families = ["ip", "inet", "inet"]
    if plan.bridges[ns]:
        families += ["bridge"] * 2
    for number in range(rng.choice((1, 1, 2))):
        maker.table(rng.choice(families), number)
