"""Rules of ebtables-nft as ``ebtables-nft-save`` prints them (iptables 1.8.9, iptables/nft-bridge.c)."""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.nft.exprs import Expression
from pktdiag.netfilter.nft.exprs import cmp as compare
from pktdiag.netfilter.nft.exprs.bitwise import Bitwise
from pktdiag.netfilter.nft.exprs.cmp import Cmp
from pktdiag.netfilter.nft.exprs.counter import Counter
from pktdiag.netfilter.nft.exprs.immediate import ImmediateVerdict
from pktdiag.netfilter.nft.exprs.limit import Limit
from pktdiag.netfilter.nft.exprs.lookup import Lookup
from pktdiag.netfilter.nft.exprs.match import Match
from pktdiag.netfilter.nft.exprs.meta import BRI_IIFNAME, BRI_OIFNAME, IIFNAME, OIFNAME, MetaGet
from pktdiag.netfilter.nft.exprs.meta import PROTOCOL as META_PROTOCOL
from pktdiag.netfilter.nft.exprs.payload import PayloadLoad
from pktdiag.netfilter.nft.exprs.target import Target
from pktdiag.netfilter.nft.packet_bytes import LL_HEADER, NETWORK_HEADER
from pktdiag.netfilter.nft.render.iptables import limit_rate, verdict_text
from pktdiag.netfilter.nft.render.parts import NotTheirsError, Part
from pktdiag.netfilter.nft.render.userdata import field
from pktdiag.netfilter.nft.rule import Rule
from pktdiag.netfilter.xt.base import mac_text
from pktdiag.netfilter.xt.compat import render_match, render_target
from pktdiag.netfilter.xt.ebtables import PROTOCOLS

BRIDGE = 7
PROTO, SOURCE, DESTINATION, IN, LOGICAL_IN, OUT, LOGICAL_OUT, MATCH, WATCHER, TARGET = range(10)
_DEVICES = {IIFNAME: (IN, "-i"), OIFNAME: (OUT, "-o"), BRI_IIFNAME: (LOGICAL_IN, "--logical-in"),
            BRI_OIFNAME: (LOGICAL_OUT, "--logical-out")}
_WATCHERS = frozenset(("log", "nflog", "ulog"))
_FULL = b"\xff" * 6
_MACS = {(bytes(6), b"\1\0\0\0\0\0"): "Unicast", (b"\1\0\0\0\0\0", b"\1\0\0\0\0\0"): "Multicast", (_FULL, _FULL): "Broadcast",
         (bytes.fromhex("0180c2000000"), _FULL): "BGA"}


class Test(NamedTuple):
    """A load, perhaps a mask, and a comparison."""

    load: Expression
    mask: bytes | None
    op: int
    data: bytes
    last: int

    @property
    def bang(self) -> str:
        return "! " if self.op == compare.NEQ else ""


def read_test(expressions: list[Expression], at: int) -> Test:
    """The comparison that starts at ``at``. Raises NotTheirsError."""
    load, mask = expressions[at], None
    at += 1
    if at < len(expressions) and isinstance(found := expressions[at], Bitwise):
        mask, at = found.mask, at + 1
    test = expressions[at] if at < len(expressions) else None
    if not isinstance(test, Cmp):
        raise NotTheirsError
    return Test(load, mask, test.op, test.data, at)


def device_name(data: bytes) -> str:
    name = data.partition(b"\0")[0].decode("utf-8", "surrogateescape")
    return name if b"\0" in data else f"{name}+"


def ebtables_parts(ns: NamespaceView, rule: Rule, expressions: list[Expression]) -> list[Part] | None:
    """The parts behind ``-A CHAIN``, or None when this is no rule of ebtables-nft."""
    found: list[tuple[int, Part]] = []
    at, ended = 0, False
    try:
        while at < len(expressions):
            each = expressions[at]
            if isinstance(each, MetaGet | PayloadLoad):
                among = _among(ns, rule, expressions, at)
                rank, part = among if among is not None else _test(read_test(expressions, at))
                found.append((rank, part if among is not None else part._replace(first=at)))
                at = part.last
            elif isinstance(each, Match):
                found.append((MATCH, Part(render_match(each.name, each.revision, each.info, BRIDGE, ns), at, at)))
            elif isinstance(each, Limit):
                found.append((MATCH, Part(limit_rate(each, always=True), at, at)))
            elif isinstance(each, Target):
                text = render_target(each.name, each.revision, each.info, BRIDGE, ns)
                watcher = each.name in _WATCHERS
                found.append((WATCHER if watcher else TARGET, Part(text.partition(" ")[2].partition(" ")[2] if watcher else text, at, at)))
                ended = ended or not watcher
            elif isinstance(each, ImmediateVerdict):
                found.append((TARGET, Part(verdict_text(each.verdict), at, at)))
                ended = True
            elif not isinstance(each, Counter):
                raise NotTheirsError
            at += 1
    except NotTheirsError:
        return None
    if not ended:
        found.append((TARGET, Part("-j CONTINUE", len(expressions), len(expressions))))
    return [part for _, part in sorted(found, key=lambda item: item[0])]


def _test(test: Test) -> tuple[int, Part]:
    load, last = test.load, test.last
    if isinstance(load, MetaGet) and load.key in _DEVICES:
        rank, option = _DEVICES[load.key]
        return rank, Part(f"{option} {test.bang}{device_name(test.data)}", last, last)
    if isinstance(load, PayloadLoad) and load.base == LL_HEADER:
        if load.offset == 12 and load.length == 2:
            if test.op in (compare.LT, compare.GTE):
                return PROTO, Part(f"-p {'! ' if test.op == compare.GTE else ''}Length", last, last)
            number = int.from_bytes(test.data, "big")
            return PROTO, Part(f"-p {test.bang}{PROTOCOLS.get(number, f'{number:#x}')}", last, last)
        if load.offset in (0, 6) and load.length <= 6:
            mac = test.data.ljust(6, b"\0")
            mask = (test.mask or b"\xff" * load.length).ljust(6, b"\0")
            text = _MACS.get((mac, mask)) or mac_text(mac, mask)
            rank, option = (DESTINATION, "-d") if load.offset == 0 else (SOURCE, "-s")
            return rank, Part(f"{option} {test.bang}{text}", last, last)
    raise NotTheirsError


def _among(ns: NamespaceView, rule: Rule, expressions: list[Expression], at: int) -> tuple[int, Part] | None:
    """--among-src / --among-dst: a set of MAC addresses, or of MAC and IPv4 addresses behind a test for IPv4."""
    first = at
    if isinstance(head := expressions[at], MetaGet) and head.key == META_PROTOCOL:
        at += 2
    loads = []
    while at < len(expressions) and isinstance(expressions[at], PayloadLoad):
        loads.append(expressions[at])
        at += 1
    found = expressions[at] if at < len(expressions) else None
    if not isinstance(found, Lookup) or not loads or not isinstance(mac := loads[0], PayloadLoad) or mac.base != LL_HEADER:
        return None
    if len(loads) > 1 and (not isinstance(ip := loads[1], PayloadLoad) or ip.base != NETWORK_HEADER):
        return None
    from pktdiag.netfilter.nft.load import ruleset

    table = ruleset(ns).sets(rule.family).get(rule.table, found.set_name)
    if table is None:
        return None
    texts = []
    for element in sorted(table.elements(), key=lambda item: item.key):
        text = ":".join(f"{byte:x}" for byte in element.key[:6])
        if len(element.key) >= 12 and any(element.key[8:12]):
            text += "=" + ".".join(str(byte) for byte in element.key[8:12])
        texts.append(text)
    side = "dst" if mac.offset == 0 else "src"
    return MATCH, Part(f"--among-{side} {'! ' if found.inverted else ''}{','.join(texts)}", first, at)


def is_policy(userdata: bytes) -> bool:
    """UDATA_TYPE_EBTABLES_POLICY: the rule that stands for a user chain's policy (iptables/nft.h)."""
    return field(userdata, 1) is not None
