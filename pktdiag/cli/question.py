"""From the words of a command line to the question put to the walk.

Whatever the words leave open is chosen here, and every choice that could change the answer is stated as an assumption
with the flag that settles it.
"""

from __future__ import annotations

from pktdiag.cli import endpoint, fields
from pktdiag.cli.addresses import best_address, owners, source_family
from pktdiag.cli.arrival import arrival
from pktdiag.cli.endpoint import Endpoint
from pktdiag.cli.errors import CliError, near
from pktdiag.model.kernel import IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, PORT_PROTOS, PROTO_NAMES, TCP_SYN
from pktdiag.model.packet import Packet, format_address
from pktdiag.model.question import Question
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import HostView, NamespaceView, Unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Resolve = Callable[[str], NamespaceView]
    """A selector (container, ``ns:NAME``, ``pid:N``) to its namespace; CliError with near matches otherwise."""


class Start(NamedTuple):
    """Where the packet starts."""

    ns: NamespaceView
    src: bytes | None
    """None: the sending namespace's own choice."""
    ingress: int | None
    dst_mac: bytes | None


def build(host: HostView, values: dict[str, Any], resolve: Resolve, base_of: Callable[[str | None], NamespaceView]) -> Question:
    """The question that ``values`` (see ``options``) put to ``host``; ``base_of`` understands ``--ns``. Raises CliError."""
    values = with_log(values) if values.get("from_log") else values
    words = values["words"]
    if not 1 <= len(words) <= 2:
        raise CliError("usage", "no destination given" if not words else f"{len(words)} addresses given, one or two expected",
                       "", "write [SRC] DST, e.g. pktdiag trace 10.0.0.5:8000/udp")
    source = endpoint.parse(words[0], with_proto=False) if len(words) == 2 else None
    target = endpoint.parse(words[-1])
    notes: list[str] = []
    base = base_of(values["ns"])
    start = _start(host, base, source, values["in_"], resolve, notes, target)
    dst = _destination(host, target, start, source, resolve, notes)
    if start.src is not None and len(start.src) != len(dst):
        raise CliError("family-mismatch", f"{format_address(start.src)} cannot send to {format_address(dst)}",
                       "one is IPv4, the other IPv6", "give both of one family")
    if start.ingress == -1:
        assert start.src is not None
        ingress, dst_mac, text = arrival(host, start.ns, start.src, dst)
        notes.append(text)
        start = start._replace(ingress=ingress, dst_mac=dst_mac)
    if values["assume_empty"]:
        notes.append("no BPF program on a device and no ebtables rules, where that cannot be read (--assume-empty)")
    logged = values.get("headers")
    proto = _proto(target, dst, logged is not None and logged.offset > 0)
    packet = _packet(start, source, target, dst, proto, values, notes)
    uid = fields.user(values["uid"]) if values["uid"] else 0
    return Question(
        netns=start.ns.id, packet=packet, ingress=start.ingress, dst_mac=start.dst_mac,
        src_mac=fields.mac("src-mac", values["src_mac"]) if values["src_mac"] else None,
        mark=fields.number("mark", values["mark"], 0xFFFFFFFF) if values["mark"] else 0,
        uid=uid, gid=fields.group(values["gid"]) if values["gid"] else fields.group_of(uid), oif=_device(start, source, target),
        owner_told=bool(values["uid"] or values["gid"]),
        state=fields.state(values["state"]) if values["state"] else None, assumptions=tuple(notes),
        never_cut=values["df"] is True and start.ingress is None)


def with_log(values: dict[str, Any]) -> dict[str, Any]:
    """The values with the packet of ``--from-log`` filled in where no option says otherwise."""
    from pktdiag.cli import fromlog
    line = values["from_log"]
    if line == "-":
        import sys
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="backslashreplace")  # a line may carry any bytes, as a LOG prefix does
        line = next((text for text in sys.stdin or () if text.strip()), "")
        if line and " > " not in line.rpartition("(tos ")[2] + line.rpartition("(class ")[2] and line.rstrip().endswith(")"):
            line += sys.stdin.readline()  # tcpdump -v gives the addresses a line of their own
    if values["words"]:
        raise CliError("usage", "--from-log and SRC DST are both given", "", "give the one or the other")
    logged = fromlog.parse(line)
    values = dict(values)

    def text(address: bytes, port: int | None) -> str:
        words = format_address(address)
        return (f"[{words}]:{port}" if ":" in words else f"{words}:{port}") if port else words

    values["words"] = [text(logged.src, logged.sport), f"{text(logged.dst, logged.dport)}/{logged.proto}"]
    said = {"size": logged.length, "ttl": logged.ttl, "df": logged.df, "in_": logged.indev,
            "mark": str(logged.mark) if logged.mark is not None and not logged.indev else None,
            "uid": str(logged.uid) if logged.uid is not None else None, "gid": str(logged.gid) if logged.gid is not None else None,
            "dscp": str(logged.tos >> 2) if logged.tos is not None else None,
            "tcp_flags": str(logged.tcp_flags or "none") if logged.tcp_flags is not None else None,
            "icmp_type": "{}/{}".format(*logged.icmp) if logged.icmp else None,
            "src_mac": logged.src_mac.hex(":") if logged.src_mac else None}
    for dest, value in said.items():
        if values[dest] is None:
            values[dest] = value
    values["headers"] = logged.headers
    return values


def _start(host: HostView, base: NamespaceView, source: Endpoint | None, iface: str | None, resolve: Resolve,
           notes: list[str], target: Endpoint) -> Start:
    """Who sends: this namespace, a named one, the owner of the address, or somebody outside."""
    if source is None or source.name:
        if iface is not None:
            raise CliError("usage", "--in needs the SRC address of a sender outside", "", "write SRC as an IP address")
        sender = base if source is None or source.name == "host" else resolve(source.name)
        return Start(sender, None, None, None)
    src = source.address
    assert src is not None
    if iface is not None:
        return Start(base, src, _interface(base, iface), None)
    found, unseen = owners(host, base, src)
    if found:
        if len(found) > 1:
            notes.append(f"{format_address(src)} is an address of {len(found)} namespaces; {_called(found[0])} is taken "
                         f"as the sender (name another with ns:NAME as SRC, or --ns)")
        return Start(found[0], src, None, None)
    if unseen:
        notes.append(f"{unseen} namespace(s) could not be read; {format_address(src)} is taken to be outside this host "
                     f"(run as root to be sure)")
    zone = source.zone or target.zone
    return Start(base, src, _interface(base, zone) if zone else -1, None)


def _interface(ns: NamespaceView, name: str) -> int:
    link = ns.link_named(name)
    if link is None and name.isascii() and name.isdigit() and len(name) < 10:
        link = ns.link(int(name))
    if link is None:
        names = [other.name for other in ns.links().values()]
        raise CliError("unknown-interface", f"no interface {name!r} in {_called(ns)}", "", near(name, names)
                       or f"it has {', '.join(names[:12])}")
    return link.ifindex


def _device(start: Start, source: Endpoint | None, target: Endpoint) -> int:
    """What ``%ZONE`` binds the sender's socket to (tcp_v6_connect, ip6_datagram_connect): 0 without one."""
    zones = [end.zone for end in (source, target) if end is not None and end.zone]
    if not zones or start.ingress is not None:
        return 0
    found = {_interface(start.ns, zone) for zone in zones}
    if len(found) > 1:
        raise CliError("usage", f"{zones[0]} and {zones[1]} are two links", "link-local addresses reach each other on one only",
                       "name one device")
    return found.pop()


def _destination(host: HostView, target: Endpoint, start: Start, source: Endpoint | None, resolve: Resolve,
                 notes: list[str]) -> bytes:
    if target.address is not None:
        return target.address
    ns = host.current_namespace() if target.name == "host" else resolve(target.name)
    family = source_family(source)
    chosen, others = best_address(ns, start.ns, family, outside=start.src if start.ingress is not None else None)
    if chosen is None:
        wanted = {4: "IPv4 ", 16: "IPv6 "}.get(family or 0, "")
        raise CliError("no-address", f"{target.name!r} has no {wanted}address", "its namespace has none but loopback's",
                       "attach it to a network, or give an IP address")
    if others:
        notes.append(f"{target.name} is taken at {format_address(chosen)}; it also has "
                     f"{', '.join(format_address(a) for a in others[:4])} (write the address to choose)")
    return chosen


def _proto(target: Endpoint, dst: bytes, portless: bool = False) -> int:
    """``portless``: of a later fragment, which has none."""
    icmp = IPPROTO_ICMP if len(dst) == 4 else IPPROTO_ICMPV6
    proto = target.proto
    if proto is None:
        return IPPROTO_TCP if target.port is not None else icmp
    if proto in (IPPROTO_ICMP, IPPROTO_ICMPV6):
        proto = icmp
    if proto in PORT_PROTOS and target.port is None and not portless:
        raise CliError("no-port", f"{target.text!r} has no port", f"{PROTO_NAMES[proto]} needs one",
                       f"write ADDRESS:PORT/{PROTO_NAMES[proto]}")
    if proto not in PORT_PROTOS and target.port is not None:
        raise CliError("no-port", f"{target.text!r} has a port", f"{PROTO_NAMES.get(proto, 'this protocol')} has none",
                       "leave the port out")
    return proto


def _packet(start: Start, source: Endpoint | None, target: Endpoint, dst: bytes, proto: int, values: dict[str, Any],
            notes: list[str]) -> Packet:
    ipv6 = len(dst) == 16
    header = 40 if ipv6 else 20
    is_icmp = proto in (IPPROTO_ICMP, IPPROTO_ICMPV6)
    sport = source.port if source is not None and source.port else 0
    if source is not None and source.port and proto not in PORT_PROTOS:
        raise CliError("no-port", f"{source.text!r} has a port", f"{PROTO_NAMES.get(proto, 'this protocol')} has none",
                       "leave the port out")
    logged = values.get("headers")
    if proto in PORT_PROTOS and not sport and not (logged is not None and logged.offset):
        sport = _ephemeral(start)
        notes.append(f"source port {sport} stands for any ephemeral port (write SRC as ADDRESS:PORT)")
    size = values["size"]
    length = fields.limits("size", size, header + 8, 65535) if size is not None else header + (64 if is_icmp else 40)
    ttl = fields.limits("ttl", values["ttl"], 0, 255) if values["ttl"] is not None else _ttl(start, ipv6)
    kind, code = (128 if ipv6 else 8), 0
    if values["icmp_type"]:
        if not is_icmp:
            raise CliError("usage", "--icmp-type with a packet that is not ICMP", "", "write DST/icmp")
        kind, code = fields.icmp_type(values["icmp_type"], ipv6)
    if values["tcp_flags"] and proto != IPPROTO_TCP:
        raise CliError("usage", "--tcp-flags with a packet that is not TCP", "", "write DST:PORT/tcp")
    packet = Packet(
        src=start.src if start.src is not None else bytes(len(dst)), dst=dst, proto=proto, sport=sport,
        dport=target.port or 0, ttl=ttl, tos=fields.dscp(values["dscp"]) << 2 if values["dscp"] else 0, length=length,
        df=values["df"] if values["df"] is not None else True,
        tcp_flags=fields.tcp_flags(values["tcp_flags"]) if values["tcp_flags"] else TCP_SYN,
        icmp_type=kind if is_icmp else 0, icmp_code=code, icmp_id=1 if is_icmp else 0,
        # A real SYN carries options (MSS, window scale, …) and any segment may.
        unknown=Packet(dst, dst, proto).unknown | ({"tcp_options"} if proto == IPPROTO_TCP else set()))
    if logged is None:
        return packet
    from pktdiag.cli.loggedheaders import applied

    return applied(packet, logged, notes)


def _ephemeral(start: Start) -> int:
    """net.ipv4.ip_local_port_range's first port (32768 where it cannot be read); any other sender's: likewise."""
    if start.ingress is None:
        try:
            return int((start.ns.sysctl("net/ipv4/ip_local_port_range") or "").split()[0])
        except (Unreadable, ValueError, IndexError):
            pass
    return 32768


def _ttl(start: Start, ipv6: bool) -> int:
    """The sender's default: net.ipv4.ip_default_ttl; ip6_dst_hoplimit() for IPv6 starts from conf.all."""
    if start.ingress is None:
        try:
            return int(start.ns.sysctl("net/ipv6/conf/all/hop_limit" if ipv6 else "net/ipv4/ip_default_ttl") or 64)
        except (Unreadable, ValueError):
            pass
    return 64


def _called(ns: NamespaceView) -> str:
    return ns.names[0] if ns.names else ns.id
