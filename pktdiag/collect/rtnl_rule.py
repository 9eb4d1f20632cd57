"""Policy rules: RTM_GETRULE (net/core/fib_rules.c: fib_nl_fill_rule)."""

from __future__ import annotations

from struct import Struct

from pktdiag.collect.netlink import Netlink, attributes, be, text, u32
from pktdiag.model.host import RouteRule

RTM_GETRULE = 34
_HEADER = Struct("=BBBBBxxBI")  # struct fib_rule_hdr: family, dst_len, src_len, tos, table, -, -, action, flags
_TWO_U16, _TWO_U32 = Struct("=HH"), Struct("=II")
FIB_RULE_INVERT = 2

(FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_GOTO, FRA_PRIORITY, FRA_FWMARK, FRA_FLOW, FRA_TUN_ID, FRA_SUPPRESS_IFGROUP,
 FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, FRA_FWMASK, FRA_OIFNAME, FRA_L3MDEV, FRA_UID_RANGE, FRA_IP_PROTO, FRA_SPORT_RANGE,
 FRA_DPORT_RANGE, FRA_DSCP, FRA_FLOWLABEL, FRA_FLOWLABEL_MASK, FRA_SPORT_MASK, FRA_DPORT_MASK, FRA_DSCP_MASK) = (
    1, 2, 3, 4, 6, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 22, 23, 24, 25, 26, 27, 28, 29, 30)
_MODELLED = frozenset((1, 2, 3, 4, 6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30))
_FULL_MASK = {FRA_FLOWLABEL_MASK: 0xFFFFF, FRA_SPORT_MASK: 0xFFFF, FRA_DPORT_MASK: 0xFFFF, FRA_DSCP_MASK: 0x3F}
_NAMES = {FRA_FLOWLABEL_MASK: "FRA_FLOWLABEL_MASK", FRA_SPORT_MASK: "FRA_SPORT_MASK", FRA_DPORT_MASK: "FRA_DPORT_MASK",
          FRA_DSCP_MASK: "FRA_DSCP_MASK"}
_NOTHING = 0xFFFFFFFF


def read_rules(netlink: Netlink, family: int) -> tuple[RouteRule, ...]:
    """Rules of one family in the order fib_rules_lookup() tries them, which is the order of the dump."""
    import errno

    try:
        payloads = netlink.dump(RTM_GETRULE, _HEADER.pack(family, 0, 0, 0, 0, 0, 0))
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP):  # CONFIG_IP(V6)_MULTIPLE_TABLES is off
            return ()
        raise
    return tuple(_known.get(payload) or _decode(payload) for payload in payloads if payload[0] == family)


_known: dict[bytes, RouteRule] = {}
"""What has been decoded so far: every namespace has the same three rules, few have others."""


def _decode(payload: bytes) -> RouteRule:
    _family, dstlen, srclen, tos, table, action, flags = _HEADER.unpack_from(payload)
    found = attributes(payload, 12)
    get = found.get

    def number(kind: int) -> int:
        return u32(found[kind]) if kind in found else 0

    def name(kind: int) -> str | None:
        return text(found[kind]) if kind in found else None

    def limit(kind: int) -> int | None:
        """Absent and -1 both mean that nothing is suppressed."""
        value = number(kind) if kind in found else _NOTHING
        return None if value == _NOTHING else value

    def ports(kind: int) -> tuple[int, int] | None:
        return _pair(_TWO_U16, found[kind]) if kind in found else None

    unknown = [f"FRA_{kind}" for kind in found if kind not in _MODELLED]
    for kind, full in _FULL_MASK.items():
        value = get(kind)
        if value is not None:
            mask = value[0] if len(value) == 1 else be(value) if kind == FRA_FLOWLABEL_MASK else int.from_bytes(value, "little")
            if mask != full:
                unknown.append(_NAMES[kind])
    uid_range, proto, dscp, flowlabel = get(FRA_UID_RANGE), get(FRA_IP_PROTO), get(FRA_DSCP), get(FRA_FLOWLABEL)
    rule = RouteRule(
        priority=number(FRA_PRIORITY),
        action=action,
        table=number(FRA_TABLE) if FRA_TABLE in found else table,
        src=get(FRA_SRC), srclen=srclen, dst=get(FRA_DST), dstlen=dstlen,
        iif=name(FRA_IIFNAME), oif=name(FRA_OIFNAME),
        fwmark=number(FRA_FWMARK), fwmask=number(FRA_FWMASK),
        tos=tos,
        invert=bool(flags & FIB_RULE_INVERT),
        suppress_prefixlength=limit(FRA_SUPPRESS_PREFIXLEN),
        suppress_ifgroup=limit(FRA_SUPPRESS_IFGROUP),
        goto=number(FRA_GOTO) if FRA_GOTO in found else None,
        uid_range=None if uid_range is None else _pair(_TWO_U32, uid_range),
        ip_proto=None if proto is None else proto[0],
        sport=ports(FRA_SPORT_RANGE),
        dport=ports(FRA_DPORT_RANGE),
        l3mdev=bool(get(FRA_L3MDEV, b"\0")[0]),
        tun_id=be(get(FRA_TUN_ID, b"")),
        dscp=None if dscp is None else dscp[0],
        flowlabel=None if flowlabel is None else be(flowlabel),
        realm=number(FRA_FLOW),
        unknown=tuple(unknown),
    )
    if len(_known) < 1000:
        _known[payload] = rule
    return rule


def _pair(shape: Struct, data: bytes) -> tuple[int, int]:
    first, last = shape.unpack_from(data)
    return first, last
