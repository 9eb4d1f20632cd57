"""One function per decoder: takes any bytes, raises only what its callers make a named gap of."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from typing import Any

from pktdiag.collect import (
    ctnetlink,
    rtnl_address,
    rtnl_bridge,
    rtnl_link,
    rtnl_linkinfo,
    rtnl_neigh,
    rtnl_route,
    rtnl_rule,
    rtnl_tc,
    sockdiag,
)
from pktdiag.model.packet import Packet, parse_address
from pktdiag.netfilter.context import HookContext, Skb, Unknown
from pktdiag.netfilter.nft import exprs, sets, tables
from pktdiag.netfilter.nft.load import Ruleset
from pktdiag.netfilter.nft.objects import decode_object
from pktdiag.netfilter.nft.registers import Doubt, Registers
from pktdiag.netfilter.nft.render.native import native_parts
from pktdiag.netfilter.nft.rule import Rule
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import Verdict
from pktdiag.netfilter.nft.wire import MalformedError
from pktdiag.netfilter.xt import compat
from pktdiag.netfilter.xt.blob import MalformedTableError, Table
from pktdiag.netfilter.xt.ebt_blob import parse
from pktdiag.netfilter.xt.ipset import SetUse, in_set
from pktdiag.netfilter.xt.render import render_table
from tests.netfilter.nft.test_fuzz import Services, View, attribute

PACKET = Packet(parse_address("192.0.2.1"), parse_address("192.0.2.2"), 6, 1, 2)
EXPRESSIONS = sorted(exprs.MODULES)
EXTENSIONS = ([("match", name, family) for name in sorted(compat.MATCHES) for family in (2, 10)]
              + [("target", name, family) for name in sorted(compat.TARGETS) for family in (2, 10)]
              + [("match", name, 7) for name in sorted(compat.BRIDGE_MATCHES)] + [("target", name, 7) for name in sorted(compat.BRIDGE_TARGETS)]
              + [("target", "mangle", 3)])
GAPS = (struct.error, LookupError, ValueError)
"""What collect/asking.py makes a gap of."""


class IpsetView(View):
    """A namespace whose one set is described by the bytes under test."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def ipset_header(self, _: object) -> bytes:
        return self.raw

    def ipset_members(self, _: object) -> list[bytes]:
        return [self.raw]

    def ipset_test(self, *_: object) -> bool:
        return True


def _context(view: Any) -> HookContext:
    services: Any = Services()
    return HookContext(services, view, 2, 1, Skb(PACKET), None, None)


def nft_expression(raw: bytes) -> None:
    """The first byte picks the expression, the rest are its attributes: decoded, evaluated, printed."""
    if not raw:
        return
    name = EXPRESSIONS[raw[0] % len(EXPRESSIONS)]
    whole = attribute(1, name.encode() + b"\0") + attribute(2, raw[1:])
    view: Any = View()
    made = exprs.decode(whole)
    outcome = made.evaluate(Registers(), Run(_context(view), 2, "t", Ruleset(view, 1, ()).sets(2)))
    assert outcome is None or isinstance(outcome, Verdict | Doubt)
    native_parts(view, Rule(b"\0\0\0\0" + attribute(4, attribute(1, whole)), 2, "t", "c", 1), [made])


def nft_objects(raw: bytes) -> None:
    rule = Rule(raw, 2, "t", "c", 1)
    view: Any = View()
    native_parts(view, rule, list(rule.expressions()))
    for decoder in (sets.decode_set, sets.decode_elements, tables.decode_table, tables.decode_chain, decode_object):
        with contextlib.suppress(MalformedError):
            decoder(raw)


def xt_extension(raw: bytes) -> None:
    """Two bytes pick extension and revision, the rest is its blob: decoded, evaluated, printed."""
    if len(raw) < 2:
        return
    what, name, family = EXTENSIONS[raw[0] % len(EXTENSIONS)] if len(EXTENSIONS) <= 256 else EXTENSIONS[
        (raw[0] << 3 | raw[1] >> 5) % len(EXTENSIONS)]
    rev, blob = raw[1] & 7, raw[2:]
    view: Any = View()
    if what == "match":
        result = compat.evaluate_match(name, rev, blob, _context(view))
        assert isinstance(result, bool | Unknown)
    (compat.render_match if what == "match" else compat.render_target)(name, rev, blob, family)


def xt_table(raw: bytes) -> None:
    if raw:
        with contextlib.suppress(MalformedTableError):
            render_table(Table((2, 10, 3)[raw[0] % 3], raw[1:85].ljust(84, b"\0"), raw[85:]))


def ebtables(raw: bytes) -> None:
    with contextlib.suppress(MalformedTableError):
        parse(raw[:120].ljust(120, b"\0"), raw[120:].ljust(120, b"\0"))


def ipset(raw: bytes) -> None:
    view: Any = IpsetView(raw)
    for dimensions in (1, 2, 3):
        assert isinstance(in_set(_context(view), SetUse(1, dimensions, 2)), bool | Unknown)


def conntrack(raw: bytes) -> None:
    with contextlib.suppress(*GAPS):
        ctnetlink.decode_entry(raw)


def links(raw: bytes) -> None:
    with contextlib.suppress(*GAPS):
        rtnl_link.decode_link(raw)
    for kind in ("vlan", "vxlan", "macvlan", "bridge", "veth", "bond"):
        with contextlib.suppress(*GAPS):
            rtnl_linkinfo.decode_data(kind, raw)
        with contextlib.suppress(*GAPS):
            rtnl_linkinfo.decode_slave(kind, raw)


def routes(raw: bytes) -> None:
    for decoder in (rtnl_route.decode_route, rtnl_rule._decode, rtnl_address._decode, rtnl_neigh._neighbour, rtnl_neigh._fdb_entry,
                    lambda data: rtnl_bridge._group(data, 1), rtnl_tc._decoded, lambda data: sockdiag._decode(data, 6)):
        with contextlib.suppress(*GAPS):
            decoder(raw)


DECODERS: dict[str, Callable[[bytes], None]] = {
    "nft-expression": nft_expression, "nft-objects": nft_objects, "xt-extension": xt_extension, "xt-table": xt_table, "ebtables": ebtables,
    "ipset": ipset, "conntrack": conntrack, "links": links, "routes": routes}
