"""Invents iptables rulesets, for the nft and the legacy back end, as iptables-restore reads them."""

from __future__ import annotations

from .settings import PORTS
from .topology import Plan

TABLES = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "raw": ("PREROUTING", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}


def xt_rules(plan: Plan, ns: str) -> None:
    """One or both back ends, one to three tables each."""
    rng = plan.rng
    tools = rng.choice((["iptables-nft"], ["iptables-nft"], ["iptables-legacy"], ["iptables-legacy"], ["iptables-nft", "iptables-legacy"]))
    for tool in tools:
        for table in rng.sample(("filter", "filter", "nat", "nat", "mangle", "raw", "security"), rng.choice((1, 2, 3))):
            _table(plan, ns, tool, table)


def _table(plan: Plan, ns: str, tool: str, table: str) -> None:
    rng = plan.rng
    if any(i["do"] == "xt" and (i["ns"], i["tool"], i["table"]) == (ns, tool, table) for i in plan.items):
        return

    def line(text: str) -> None:
        plan.items.append({"do": "xt", "ns": ns, "tool": tool, "table": table, "line": text})

    chains = TABLES[table]
    users = [f"U{i}" for i in range(rng.choice((0, 0, 1, 2)))]
    for chain in chains:
        if table == "filter" and plan.chance(0.12):
            line(f":{chain} DROP [0:0]")
    for user in users:
        line(f":{user} - [0:0]")
    for number, user in enumerate(users):
        for _ in range(rng.choice((1, 2))):
            line(f"-A {user}{_matches(plan, ns, '')}{_target(plan, table, '', users[number + 1:])}")
    for _ in range(rng.choice((1, 2, 3, 5))):
        chain = rng.choice(chains)
        match = _matches(plan, ns, chain)
        target = _target(plan, table, chain, users)
        if table == "nat" and ((target.startswith(" -j DNAT") and ":" in target) or "--to-ports" in target):
            match = " -p " + rng.choice(("tcp", "udp")) + "".join(m for m in _matches(plan, ns, chain, proto=False))
        if "tcp-reset" in target:
            match = " -p tcp" + _matches(plan, ns, chain, proto=False)
        line(f"-A {chain}{match}{target}")


def _matches(plan: Plan, ns: str, chain: str, proto: bool = True) -> str:
    rng = plan.rng
    addresses = [i.v4 for i in plan.interfaces if i.v4] or ["192.0.2.1"]
    devices = plan.devices[ns] or ["lo"]
    out = ""
    if proto and plan.chance(0.45):
        kind = rng.choice(("tcp", "udp", "icmp", "! udp"))
        out += f" ! -p {kind[2:]}" if kind.startswith("!") else f" -p {kind}"
        if kind in ("tcp", "udp") and plan.chance(0.6):
            out += rng.choice((f" --dport {rng.choice(PORTS)}", f" -m multiport --dports {rng.choice(PORTS)},20000:20005",
                               f" --sport 20000:2000{rng.randint(1, 9)}", f" ! --dport {rng.choice(PORTS)}",
                               f" -m multiport --ports {rng.choice(PORTS)}"))
        if kind == "tcp" and plan.chance(0.2):
            out += rng.choice((" --syn", " --tcp-flags SYN,ACK SYN", " ! --syn", " --tcp-flags ALL NONE"))
        if kind == "icmp" and plan.chance(0.4):
            out += " --icmp-type " + rng.choice(("8", "0", "3", "3/3", "echo-request"))
    if plan.chance(0.25):
        out += rng.choice(("", " !")) + " -s " + rng.choice((rng.choice(addresses), f"10.{rng.randint(1, 3)}.0.0/24"))
    if plan.chance(0.3):
        out += rng.choice(("", " !")) + " -d " + rng.choice((rng.choice(addresses), f"10.{rng.randint(1, 3)}.0.0/24"))
    dev = rng.choice([*devices, devices[0][:1] + "+"])
    if chain in ("PREROUTING", "INPUT", "FORWARD") and plan.chance(0.25):
        out += rng.choice(("", " !")) + f" -i {dev}"
    if chain in ("OUTPUT", "POSTROUTING", "FORWARD") and plan.chance(0.25):
        out += rng.choice(("", " !")) + f" -o {dev}"
    if plan.chance(0.3):
        neg = rng.choice(("", "", "! "))
        extra = [
            f" -m conntrack {neg}--ctstate {rng.choice(('NEW', 'ESTABLISHED', 'RELATED,ESTABLISHED', 'INVALID', 'UNTRACKED', 'DNAT', 'SNAT'))}",
            f" -m state {neg}--state {rng.choice(('NEW', 'ESTABLISHED,RELATED', 'INVALID'))}",
            f" -m mark {neg}--mark {rng.choice(('0', '0x1', '0x1/0x3'))}", f" -m ttl --ttl-{rng.choice(('gt 2', 'lt 64', 'eq 64'))}",
            f" -m length {neg}--length {rng.choice((':60', '61:', '28:100'))}", f" -m addrtype --dst-type {rng.choice(('LOCAL', 'UNICAST', 'BROADCAST'))}",
            f" -m addrtype {neg}--src-type LOCAL", f" -m pkttype {neg}--pkt-type {rng.choice(('unicast', 'broadcast'))}",
            " -m comment --comment \"a remark\"", f" -m tos {neg}--tos 0x10", f" -m dscp {neg}--dscp 0",
            f" -m iprange {neg}--src-range 10.1.0.1-10.2.0.9", f" -m connmark {neg}--mark {rng.choice(('0', '0x1'))}",
        ]
        if chain in ("PREROUTING",):
            extra += [f" -m rpfilter{rng.choice((' --invert', '', ' --loose'))}"] * 2
        if chain == "OUTPUT":
            extra += [f" -m owner {neg}--uid-owner 0"]
        if plan.bridges[ns] and plan.ports[ns] and chain in ("PREROUTING", "FORWARD"):
            extra += [f" -m physdev {neg}--physdev-in {rng.choice(plan.ports[ns])}", f" -m physdev {neg}--physdev-is-bridged"] * 2
        out += rng.choice(extra)
    return out


def _target(plan: Plan, table: str, chain: str, users: list[str]) -> str:
    rng = plan.rng
    addresses = [i.v4 for i in plan.interfaces if i.v4] or ["192.0.2.1"]
    address, port = rng.choice(addresses), rng.choice(PORTS)
    draw = rng.random()
    if users and draw < 0.15:
        return f" -{rng.choice('jjg')} {rng.choice(users)}"
    if draw < 0.3:
        return ""
    if table == "nat" and chain:
        if chain in ("PREROUTING", "OUTPUT"):
            return rng.choice((f" -j DNAT --to-destination {address}", f" -j DNAT --to-destination {address}:{port}",
                               f" -j REDIRECT --to-ports {port}", " -j ACCEPT", " -j RETURN"))
        if chain == "POSTROUTING":
            return rng.choice((" -j MASQUERADE", " -j MASQUERADE", f" -j SNAT --to-source {address}", " -j SNAT --to-source 192.0.2.200",
                               " -j ACCEPT"))
        return f" -j SNAT --to-source {address}"
    choices = [" -j ACCEPT"] * 4 + [" -j RETURN"]
    if table != "nat":
        choices += [" -j DROP"] * 2
    if table == "filter" and chain:
        choices += [" -j REJECT", " -j REJECT --reject-with icmp-host-prohibited", " -j REJECT --reject-with tcp-reset"]
    if table == "mangle":
        choices += [f" -j MARK --set-mark {rng.choice((1, 2, 3))}", " -j MARK --or-mark 0x1", " -j CONNMARK --save-mark",
                    " -j CONNMARK --set-mark 1", " -j CONNMARK --restore-mark"] * 2
        if chain in ("PREROUTING", "FORWARD", "OUTPUT"):
            choices += [" -j TTL --ttl-set 40", " -j DSCP --set-dscp 10", " -j TTL --ttl-dec 1"]
    if table == "raw":
        choices += [" -j NOTRACK", " -j CT --notrack"] * 2
    return rng.choice(choices)
