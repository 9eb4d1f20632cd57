"""Invents the packets that are sent through a host, one after the other."""

from __future__ import annotations

from .send import PacketSpec
from .settings import PORTS
from .topology import Interface, Plan

FLAGS = (2, 2, 2, 2, 0x10, 0x12, 4, 0x14, 0x11, 1, 0, 0x29, 0x18, 6, 0xC2)


def packets(plan: Plan, count: int) -> list[PacketSpec]:
    result: list[PacketSpec] = []
    for number in range(count):
        if result and plan.chance(0.15):
            again = dict(plan.rng.choice(result))
            if again["proto"] == "tcp" and again["how"] == "socket":
                again["sport"] = 20000 + number  # a listener still holds the half-open connection of the first one
            result.append(again)
            continue
        if result and plan.chance(0.08):
            answer = _backwards(plan, plan.rng.choice(result))
            if answer:
                result.append(answer)
                continue
        result.append(_packet(plan, number))
    return result


def oversize(plan: Plan, found: list[PacketSpec]) -> None:
    """Makes some datagrams of sockets larger than any link, so that they are cut on their way; once all else is settled."""
    for spec in found:
        fits = spec["how"] == "socket" and spec["proto"] in ("udp", "icmp") and not spec.get("broadcast")
        if fits and plan.chance(0.08):
            spec["size"] = plan.rng.choice((1501, 1504, 1528, 2000, 2948, 2996, 3000, 4400, 9000))


def _packet(plan: Plan, number: int) -> PacketSpec:
    rng = plan.rng
    v6 = plan.ipv6 and plan.chance(0.5)
    senders = [i for i in plan.interfaces if (i.v6 if v6 else i.v4)]
    if not senders:
        senders, v6 = plan.interfaces, False
    sender = rng.choice(senders)
    proto = rng.choice(("udp", "udp", "tcp", "tcp", "icmp"))
    dst, port = _destination(plan, sender, proto, v6)
    spec: PacketSpec = {"how": "socket", "ns": sender.ns, "proto": proto, "src": "", "dst": dst, "sport": 20000 + number,
                        "dport": port}
    draw = rng.random()
    if draw < 0.3:
        wires = [v for v in plan.veths if v[0] == sender.ns] or plan.veths
        ns, dev, far_ns, far = rng.choice(wires)
        spec.update(how="frame", ns=ns, dev=dev)
        spec["dmac"] = _frame_destination(plan, dst, ns, dev, far_ns, far)
        spec["src"] = _source(plan, sender, v6, spoof=0.4)
        if plan.chance(0.7):
            spec["smac"] = plan.macs[dev]
    elif draw < 0.5:
        spec.update(how="raw", src=_source(plan, sender, v6, spoof=0.25))
        if spec["src"] == "0.0.0.0":  # the kernel would fill it in, under a checksum of ours
            spec["src"] = sender.v4
    elif plan.chance(0.2):
        spec["src"] = sender.v6 if v6 else sender.v4
    if spec["how"] != "socket" and proto == "tcp":
        spec["flags"] = rng.choice(FLAGS)
    if proto == "icmp" and spec["how"] != "socket" and plan.chance(0.2) and not v6:
        spec["icmp"] = list(rng.choice(((0, 0), (8, 0), (8, 1), (13, 0), (17, 0))))
    if plan.chance(0.1):
        spec["ttl"] = rng.choice((1, 2, 3, 255))
    if plan.chance(0.1):
        spec["size"] = rng.choice((100, 500, 1000, 1280, 1300, 1450, 1500))
    if plan.chance(0.1) and not v6:
        spec["df"] = False
    if plan.chance(0.06):
        spec["tos"] = rng.choice((0x10, 0x08, 0xB8))
    if spec["how"] != "frame":
        if plan.chance(0.2):
            spec["mark"] = rng.choice((1, 2, 3, 0x100))
        if plan.chance(0.02):
            spec["dev"] = sender.dev
    if plan.chance(0.05):
        spec["answer"] = False
    if dst.endswith((".255", ".0")):
        # A program's answer to a broadcast is its own business; the walk follows none.
        spec["broadcast"], spec["answer"] = True, False
    return spec


def _destination(plan: Plan, sender: Interface, proto: str, v6: bool) -> tuple[str, int]:
    rng = plan.rng
    targets = [(n, a, p) for n, pr, a, p in plan.listeners if pr == proto and (":" in a) == v6]
    if proto != "icmp" and targets and plan.chance(0.55):
        ns, address, port = rng.choice(targets)
        if address in ("0.0.0.0", "::"):
            owned = [i.v6 if v6 else i.v4 for i in plan.interfaces if i.ns == ns and (i.v6 if v6 else i.v4)]
            address = rng.choice(owned) if owned else address
        if address not in ("0.0.0.0", "::", "127.0.0.1", "::1") or ns == sender.ns:
            return address if address not in ("0.0.0.0", "::") else ("::1" if v6 else "127.0.0.1"), port
    port = rng.choice(PORTS)
    draw = rng.random()
    if v6:
        if draw < 0.85:
            return rng.choice([i.v6 for i in plan.interfaces if i.v6]), port
        return rng.choice(("2001:db8:ffff::1", f"2001:db8:{sender.segment}::77", "::1")), port
    if draw < 0.75:
        owned = [i.v4 for i in plan.interfaces if i.v4]
        if owned:
            return rng.choice(owned), port
    if draw < 0.85:
        return rng.choice(("192.0.2.1", "198.51.100.7", "203.0.113.9")), port
    if draw < 0.92:
        return f"10.{rng.randint(1, max(1, plan.segments))}.0.{rng.choice((66, 77))}", port
    if draw < 0.95:
        return f"10.{max(1, sender.segment)}.0.255", port
    return rng.choice(("127.0.0.1", "127.0.0.5", "255.255.255.255", f"10.{max(1, sender.segment)}.0.0")), port


def _source(plan: Plan, sender: Interface, v6: bool, spoof: float) -> str:
    own = sender.v6 if v6 else sender.v4
    if not plan.chance(spoof):
        return own
    if v6:
        return plan.rng.choice([i.v6 for i in plan.interfaces if i.v6] + ["2001:db8:fffe::9"])
    return plan.rng.choice([i.v4 for i in plan.interfaces if i.v4] + ["192.0.2.99", "203.0.113.50", f"10.{max(1, sender.segment)}.0.88",
                           "127.0.0.1", "0.0.0.0", "255.255.255.255", "240.0.0.1"] )


def _frame_destination(plan: Plan, dst: str, ns: str, dev: str, far_ns: str, far: str) -> str:
    if plan.chance(0.03):
        return "02:00:00:00:dd:dd"
    if plan.chance(0.03) or dst.endswith(".255"):
        return "ff:ff:ff:ff:ff:ff"
    if far in plan.ports[far_ns]:
        segment = next((i.segment for i in plan.interfaces if i.peer == far), 0)
        owners = [i for i in plan.interfaces if i.segment == segment]
        right = [i for i in owners if i.v4 == dst or i.v6 == dst]
        if owners:
            return (right or [plan.rng.choice(owners)])[0].mac
    return plan.macs[far]


def _backwards(plan: Plan, spec: PacketSpec) -> PacketSpec | None:
    """The answer a program would give, as somebody else might send it."""
    owner = next((i for i in plan.interfaces if spec["dst"] in (i.v4, i.v6)), None)
    source = spec["src"] or next((i.v6 if ":" in spec["dst"] else i.v4 for i in plan.interfaces if i.ns == spec["ns"]), "")
    if owner is None or not source or source in ("0.0.0.0", "255.255.255.255"):
        return None
    result: PacketSpec = {"how": "raw", "ns": owner.ns, "proto": spec["proto"], "src": spec["dst"], "dst": source,
                          "sport": spec["dport"], "dport": spec["sport"]}
    if spec["proto"] == "tcp":
        result["flags"] = plan.rng.choice((0x12, 0x10, 0x14))
    if spec["proto"] == "icmp":
        result["icmp"], result["sport"] = ([129, 0] if ":" in source else [0, 0]), spec["sport"]
    return result
