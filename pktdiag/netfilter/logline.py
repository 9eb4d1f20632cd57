"""The line the kernel log gets from a LOG target or an nft log statement.

Source: net/netfilter/nf_log_syslog.c (nf_log_dump_packet_common, dump_mac_header, nf_log_dump_vlan, dump_arp_packet, dump_ipv4_packet,
dump_ipv6_packet, nf_log_dump_tcp_header). A value nobody can know before the packet exists (IP id, TCP window, sequence numbers) is ``?``.
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import (
    ETH_P_IP,
    ETH_P_IPV6,
    IPPROTO_AH,
    IPPROTO_DSTOPTS,
    IPPROTO_ESP,
    IPPROTO_FRAGMENT,
    IPPROTO_HOPOPTS,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    IPPROTO_ROUTING,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPPROTO_UDPLITE,
)
from pktdiag.model.packet import Arp, Packet, format_address
from pktdiag.netfilter.context import HookContext, Skb

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
    if skb.arp is not None:
        return " ".join((*words, *_arp(skb, skb.arp, flags)))
    if ctx.indev is not None:
        words += _mac(ctx, ctx.indev, flags)
    if skb.ethertype not in (0, ETH_P_IP, ETH_P_IPV6):
        return " ".join(words)
    words += _ipv4(skb.packet, flags) if len(skb.packet.dst) == 4 else _ipv6(skb.packet, flags)
    if _ends_in_headers(skb.packet):
        return " ".join(words)
    if flags & UID and "uid" in skb.extra and skb.iif == 0:
        gid = skb.extra.get("gid")
        words.append(f"UID={skb.extra['uid']} GID={'?' if gid is None else gid}")
    if skb.mark:
        words.append(f"MARK=0x{skb.mark:x}")
    return " ".join(words)


def _mac(ctx: HookContext, device: Link, flags: int) -> list[str]:
    skb = ctx.skb
    if flags & MACDECODE and device.type == _ARPHRD_ETHER:
        return [_macs(skb)]
    if device.type not in (_ARPHRD_ETHER, _ARPHRD_LOOPBACK):
        return ["MAC="]
    header = (skb.dst_mac or bytes(6)) + (skb.src_mac or bytes(6)) + skb.ethertype.to_bytes(2, "big")
    return [f"MAC={colons(header)}"]


def _macs(skb: Skb) -> str:
    """The Ethernet header, decoded."""
    tag = f"VPROTO={skb.vlan_proto:04x} VID={skb.vlan_tci} " if skb.vlan_tci is not None else ""
    return f"MACSRC={colons(skb.src_mac)} MACDST={colons(skb.dst_mac)} {tag}MACPROTO={skb.ethertype:04x}"


def _arp(skb: Skb, arp: Arp, flags: int) -> list[str]:
    return [*([_macs(skb)] if flags & MACDECODE else []), f"ARP HTYPE=1 PTYPE=0x0800 OPCODE={arp.op}",
            f"MACSRC={colons(arp.sender_mac)} IPSRC={format_address(arp.sender)}",
            f"MACDST={colons(arp.target_mac)} IPDST={format_address(arp.target)}"]


def colons(data: bytes) -> str:
    """%pM"""
    return ":".join(f"{octet:02x}" for octet in data)


def _known(packet: Packet, name: str, value: object) -> str:
    return "?" if name in packet.unknown else str(value)


def _ipv4(packet: Packet, flags: int, inner: bool = False) -> list[str]:
    words = [f"SRC={format_address(packet.src)} DST={format_address(packet.dst)}",
             f"LEN={_known(packet, 'length', packet.length)}",
             f"TOS=0x{packet.tos & 0x1E:02X} PREC=0x{packet.tos & 0xE0:02X} TTL={packet.ttl} ID=?"]
    if packet.df:
        words.append("DF")
    if packet.more_fragments:
        words.append("MF")
    if packet.fragment_offset:
        words.append(f"FRAG:{packet.fragment_offset // 8}")
    if flags & IPOPT and packet.ip_options:
        words.append(f"OPT ({_options(packet)})")
    return words + _transport(packet, flags, 20, inner)


def _options(packet: Packet) -> str:
    if "ip_option_data" not in packet.unknown:
        return packet.ip_options.hex().upper()
    from pktdiag.model.ipopt import unknown_bytes

    return "".join("??" if hidden else f"{octet:02X}" for octet, hidden in zip(packet.ip_options, unknown_bytes(packet.ip_options)))


def _ipv6(packet: Packet, flags: int, inner: bool = False) -> list[str]:
    words = [f"SRC={full(packet.src)} DST={full(packet.dst)}",
             f"LEN={_known(packet, 'length', packet.length)}",
             f"TC={packet.tos} HOPLIMIT={packet.ttl} FLOWLBL={_known(packet, 'flow_label', 0)}"]
    if packet.ext_headers or packet.fragment_offset or packet.more_fragments:
        words += _headers(packet, flags)
    return words + (_end6(packet, flags) if _ends_in_headers(packet) else _transport(packet, flags, 40, inner))


def _headers(packet: Packet, flags: int) -> list[str]:
    """With --log-ip-options each extension header stands in "OPT ( )", and the authentication header is one of them only then."""
    from pktdiag.model.exthdr import chain

    words: list[str] = []
    told = any(number == IPPROTO_FRAGMENT for number, _ in packet.ext_headers)
    for number, header in chain(packet):
        inside: list[str] = []
        if number == IPPROTO_FRAGMENT:
            place = int.from_bytes(header[2:4], "big")
            inside = [f"FRAG:{place & 0xFFF8}", *(["INCOMPLETE"] if place & 1 else []), f"ID:{header[4:8].hex() if told else '?'}"]
        elif number == IPPROTO_AH and flags & IPOPT:
            inside = ["AH", f"SPI=0x{int.from_bytes(header[4:8], 'big'):x}"]
        words += ["OPT (", *inside, ")"] if flags & IPOPT else inside
    return words


def _ends_in_headers(packet: Packet) -> bool:
    """Whether an IPv6 packet's line ends among its headers, without protocol, owner and mark: at ESP, and at an extension header that a
    later fragment begins with (dump_ipv6_packet returns there)."""
    walked = (IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_AH, IPPROTO_DSTOPTS)
    return len(packet.dst) == 16 and (packet.proto == IPPROTO_ESP or (packet.fragment_offset > 0 and packet.proto in walked))


def _end6(packet: Packet, flags: int) -> list[str]:
    name = {IPPROTO_ESP: ["ESP"], IPPROTO_AH: ["AH"]}.get(packet.proto, [])
    if not flags & IPOPT:
        return ["?"] if packet.proto == IPPROTO_AH else []  # it goes on into what the fragment carries
    return ["OPT (", *name, *([f"SPI={_spi(packet)}"] if name and not packet.fragment_offset else []), ")"]


def _spi(packet: Packet) -> str:
    """The security parameter index of the packet's protocol, as far as that is known."""
    at = 4 if packet.proto == IPPROTO_AH else 0
    known = len(packet.payload) >= at + 4 and "payload" not in packet.unknown
    return f"0x{int.from_bytes(packet.payload[at:at + 4], 'big'):x}" if known else "?"


def full(address: bytes) -> str:
    """%pI6: all eight groups, four digits each."""
    return ":".join(address[at:at + 2].hex() for at in range(0, 16, 2))


def _transport(packet: Packet, flags: int, header: int, inner: bool) -> list[str]:
    proto = packet.proto
    fragment = packet.fragment_offset > 0
    if proto == IPPROTO_TCP:
        return ["PROTO=TCP", *([] if fragment else _tcp(packet, flags))]
    if proto in (IPPROTO_UDP, IPPROTO_UDPLITE):
        name = "PROTO=UDP" if proto == IPPROTO_UDP else "PROTO=UDPLITE"
        return [name] if fragment else [name, f"SPT={packet.sport} DPT={packet.dport} LEN={_udp_length(packet)}"]
    if proto == IPPROTO_ICMP and header == 20:
        return ["PROTO=ICMP", *([] if fragment else _icmp(packet, flags, inner, (0, 8), (3, 4, 5, 11), (3, 4)))]
    if proto == IPPROTO_ICMPV6 and header == 40:
        return ["PROTO=ICMPv6", *([] if fragment else _icmp(packet, flags, inner, (128, 129), (1, 2, 3, 4), (2, 0)))]
    if proto == IPPROTO_AH and header == 20:
        return [] if fragment else ["PROTO=AH", f"SPI={_spi(packet)}"]
    if proto == IPPROTO_ESP:
        return ["PROTO=ESP"] if fragment else ["PROTO=ESP", f"SPI={_spi(packet)}"]
    return [f"PROTO={proto}"]


def _udp_length(packet: Packet) -> str:
    """Of the whole datagram, of which a first fragment is a part."""
    return "?" if packet.more_fragments else _known(packet, "length", packet.length - packet.header_length)


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
    elif packet.icmp_type == 12 and errors[0] == 3:
        words.append("PARAMETER=?")
    elif packet.icmp_type in errors:
        if packet.icmp_type == 4 and errors[0] == 1:
            words.append("POINTER=?")
        elif packet.icmp_type == 5:
            words.append("GATEWAY=?")
        if not inner and packet.inner is not None:
            quoted = _ipv4(packet.inner, flags, True) if len(packet.dst) == 4 else _ipv6(packet.inner, flags, True)
            words.append("[" + " ".join(quoted) + " ]")
        if (packet.icmp_type, packet.icmp_code) == mtu:
            words.append("MTU=?")
    return words
