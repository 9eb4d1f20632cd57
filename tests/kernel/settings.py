"""Invents what else makes hosts differ: sysctls, neighbours, listeners."""

from __future__ import annotations

from .topology import Plan

PORTS = (53, 80, 443, 5000, 8000)


def sysctls(plan: Plan) -> None:
    rng = plan.rng
    for name in plan.names:
        devices = [i.dev for i in plan.interfaces if i.ns == name and i.dev != "lo"]
        if plan.chance(0.25):
            plan.sysctl(name, "net/ipv4/conf/all/rp_filter", rng.choice((0, 1, 2)))
        for dev in devices:
            for key, p, values in (
                ("rp_filter", 0.15, (0, 1, 2)), ("accept_local", 0.06, (1,)), ("route_localnet", 0.06, (1,)),
                ("arp_ignore", 0.06, (1, 2, 8)), ("arp_announce", 0.05, (1, 2)), ("arp_filter", 0.05, (1,)),
                ("proxy_arp", 0.05, (1,)), ("forwarding", 0.04, (0, 1)), ("send_redirects", 0.2, (0,)),
                ("log_martians", 0.02, (1,)), ("src_valid_mark", 0.03, (1,)), ("bc_forwarding", 0.02, (1,)),
            ):
                if plan.chance(p):
                    plan.sysctl(name, f"net/ipv4/conf/{dev}/{key}", rng.choice(values))
        if plan.chance(0.04):
            plan.sysctl(name, "net/ipv4/icmp_echo_ignore_all", 1)
        if plan.chance(0.06):
            plan.sysctl(name, "net/ipv4/icmp_echo_ignore_broadcasts", 0)
        if plan.chance(0.04):
            plan.sysctl(name, "net/ipv4/icmp_errors_use_inbound_ifaddr", 1)
        if plan.chance(0.03):
            plan.sysctl(name, "net/ipv4/ip_nonlocal_bind", 1)
        if plan.chance(0.05):
            plan.sysctl(name, "net/ipv4/fwmark_reflect", 1)
        if plan.bridges[name]:
            for key in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
                if plan.chance(0.6):
                    plan.sysctl(name, f"net/bridge/{key}", rng.choice((0, 1)))


def neighbours(plan: Plan) -> None:
    rng = plan.rng
    for interface in plan.interfaces:
        if not interface.segment:
            continue
        for other in plan.interfaces:
            if other.segment != interface.segment or other.ns == interface.ns or not other.v4:
                continue
            if plan.chance(0.08):
                wrong = plan.chance(0.25)
                mac = "02:00:00:00:ee:ee" if wrong else other.mac
                plan.ip(interface.ns, f"neigh replace {other.v4} lladdr {mac} dev {interface.dev} nud "
                        + rng.choice(("permanent", "permanent", "stale", "reachable")))
            if plan.ipv6 and other.v6 and plan.chance(0.85):
                plan.ip(interface.ns, f"neigh replace {other.v6} lladdr {other.mac} dev {interface.dev} nud permanent")


def listeners(plan: Plan) -> None:
    rng = plan.rng
    for name in plan.names:
        taken: set[tuple[str, int, bool]] = set()
        mine = [i for i in plan.interfaces if i.ns == name]
        for _ in range(rng.choice((1, 2, 3, 4))):
            proto, port = rng.choice(("udp", "tcp")), rng.choice(PORTS)
            v6 = plan.ipv6 and plan.chance(0.4)
            if (proto, port, v6) in taken:
                continue
            addresses = [i.v6 if v6 else i.v4 for i in mine]
            address = rng.choice([a for a in addresses if a] or [""]) if plan.chance(0.3) else ""
            if not address:
                address = "::" if v6 else "0.0.0.0"
            if plan.chance(0.05):
                address = "::1" if v6 else "127.0.0.1"
            item = {"do": "listen", "ns": name, "proto": proto, "addr": address, "port": port}
            if address == "0.0.0.0" and plan.chance(0.06) and mine:
                item["dev"] = rng.choice(mine).dev
            if address == "::" and plan.chance(0.4):
                if (proto, port, False) in taken:
                    continue
                item["v6only"] = False
                taken.add((proto, port, False))
            taken.add((proto, port, v6))
            plan.items.append(item)
            plan.listeners.append((name, proto, address, port))
