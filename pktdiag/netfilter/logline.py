"""The line the kernel log gets from a LOG target or an nft log statement.

Source: net/netfilter/nf_log_syslog.c (nf_log_dump_packet_common, dump_mac_header, dump_ipv4_packet, dump_ipv6_packet,
nf_log_dump_tcp_header). A value nobody can know before the packet exists (IP id, TCP window, sequence numbers) is ``?``.
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE
from pktdiag.model.packet import Packet, format_address
from pktdiag.netfilter.context import HookContext

TCPSEQ, TCPOPT, IPOPT, UID, MACDECODE = 0x01, 0x02, 0x04, 0x08, 0x20
"""NF_LOG_*: include/uapi/linux/netfilter/nf_log.h; the bits of xt_LOG and of nft's log flags are the same."""

_ARPHRD_ETHER, _ARPHRD_LOOPBACK = 1, 772
_TCP_FLAGS = ((0x80, "CWR"), (0x40, "ECE"), (0x20, "URG"), (0x10, "ACK"), (0x08, "PSH"), (0x04, "RST"), (0x02, "SYN"), (0x01, "FIN"))


def line(ctx: HookContext, prefix: str, flags: int) -> str:
    """The text behind the log level, without the trailing blank. ``prefix`` is raw."""
    skb = ctx.skb
    words = [f"{prefix}IN={ctx.indev.name if ctx.indev else ''} OUT={ctx.outdev.name if ctx.outdev else ''}"]
    for name, port, device in (("PHYSIN", skb.physin, ctx.indev), ("PHYSOUT", skb.physout, ctx.outdev)):
        link = ctx.ns.link(port) if port else None
        if link is not None and (device is None or device.ifindex != link.ifindex):
            words.append(f"{name}={link.name}")
    if ctx.indev is not None:
        words += _mac(ctx, ctx.indev, flags)
    words += _ipv4(skb.packet, flags) if len(skb.packet.dst) == 4 else _ipv6(skb.packet, flags)
    if flags & UID and "uid" in skb.extra and skb.iif == 0:
        words.append(f"UID={skb.extra['uid']} GID={skb.extra.get('gid', '?')}")
    if skb.mark:
        words.append(f"MARK=0x{skb.mark:x}")
    return " ".join(words)


def _mac(ctx: HookContext, device: Link, flags: int) -> list[str]:
    skb = ctx.skb
    if flags & MACDECODE and device.type == _ARPHRD_ETHER:
        return [f"MACSRC={_colons(skb.src_mac)} MACDST={_colons(skb.dst_mac)} MACPROTO={skb.ethertype:04x}"]
    if device.type not in (_ARPHRD_ETHER, _ARPHRD_LOOPBACK):
        return ["MAC="]
    header = (skb.dst_mac or bytes(6)) + (skb.src_mac or bytes(6)) + skb.ethertype.to_bytes(2, "big")
    return [f"MAC={_colons(header)}"]


def _colons(data: bytes) -> str:
    return ":".join(f"{octet:02x}" for octet in data)


def _known(packet: Packet, name: str, value: object) -> str:
    return "?" if name in packet.unknown else str(value)


def _ipv4(packet: Packet, flags: int, inner: bool = False) -> list[str]:
    words = [f"SRC={format_address(packet.src)} DST={format_address(packet.dst)}",
             f"LEN={packet.length} TOS=0x{packet.tos & 0x1E:02X} PREC=0x{packet.tos & 0xE0:02X} TTL={packet.ttl} ID=?"]
    if packet.df:
        words.append("DF")
    if packet.more_fragments:
        words.append("MF")
    if packet.fragment_offset:
        words.append(f"FRAG:{packet.fragment_offset // 8}")
    return words + _transport(packet, flags, 20, inner)


def _ipv6(packet: Packet, flags: int, inner: bool = False) -> list[str]:
    words = [f"SRC={_full(packet.src)} DST={_full(packet.dst)}",
             f"LEN={packet.length} TC={packet.tos} HOPLIMIT={packet.ttl} FLOWLBL={_known(packet, 'flow_label', 0)}"]
    return words + _transport(packet, flags, 40, inner)


def _full(address: bytes) -> str:
    """%pI6: all eight groups, four digits each."""
    return ":".join(address[at:at + 2].hex() for at in range(0, 16, 2))


def _transport(packet: Packet, flags: int, header: int, inner: bool) -> list[str]:
    proto = packet.proto
    fragment = packet.fragment_offset > 0
    if proto == IPPROTO_TCP:
        return ["PROTO=TCP", *([] if fragment else _tcp(packet, flags))]
    if proto in (IPPROTO_UDP, IPPROTO_UDPLITE):
        name = "PROTO=UDP" if proto == IPPROTO_UDP else "PROTO=UDPLITE"
        return [name] if fragment else [name, f"SPT={packet.sport} DPT={packet.dport} LEN={packet.length - header}"]
    if proto == IPPROTO_ICMP and header == 20:
        return ["PROTO=ICMP", *([] if fragment else _icmp(packet, flags, inner, (0, 8), (3, 4, 5, 11), (3, 4)))]
    if proto == IPPROTO_ICMPV6 and header == 40:
        return ["PROTO=ICMPv6", *([] if fragment else _icmp(packet, flags, inner, (128, 129), (1, 2, 3, 4), (2, 0)))]
    return [f"PROTO={proto}"]


def _tcp(packet: Packet, flags: int) -> list[str]:
    words = [f"SPT={packet.sport} DPT={packet.dport}"]
    if flags & TCPSEQ:
        words.append("SEQ=? ACK=" + ("?" if packet.tcp_flags & 0x10 else "0"))
    words.append(f"WINDOW={_known(packet, 'tcp_window', 0)} RES=0x00")
    words += [name for bit, name in _TCP_FLAGS if packet.tcp_flags & bit]
    words.append("URGP=0")
    if flags & TCPOPT:
        words.append(f"OPT ({packet.tcp_options.hex().upper()})" if packet.tcp_options else "OPT (?)")
    return words


def _icmp(packet: Packet, flags: int, inner: bool, echo: tuple[int, ...], errors: tuple[int, ...], mtu: tuple[int, int]) -> list[str]:
    words = [f"TYPE={packet.icmp_type} CODE={packet.icmp_code}"]
    if packet.icmp_type in echo:
        words.append(f"ID={packet.icmp_id} SEQ=?")
    elif packet.icmp_type in errors:
        if not inner and packet.inner is not None:
            quoted = _ipv4(packet.inner, flags, True) if len(packet.dst) == 4 else _ipv6(packet.inner, flags, True)
            words.append("[" + " ".join(quoted) + " ]")
        if (packet.icmp_type, packet.icmp_code) == mtu:
            words.append("MTU=?")
    return words
