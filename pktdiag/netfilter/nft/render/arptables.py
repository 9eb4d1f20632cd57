"""Rules of arptables-nft as ``arptables-nft-save`` prints them (iptables 1.8.9, iptables/nft-arp.c): the target's name first,
its options last."""

from __future__ import annotations

from pktdiag.model.packet import format_address
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.nft.exprs import Expression
from pktdiag.netfilter.nft.exprs import cmp as compare
from pktdiag.netfilter.nft.exprs.counter import Counter
from pktdiag.netfilter.nft.exprs.immediate import ImmediateVerdict
from pktdiag.netfilter.nft.exprs.meta import IIFNAME, OIFNAME, MetaGet
from pktdiag.netfilter.nft.exprs.payload import PayloadLoad
from pktdiag.netfilter.nft.exprs.target import Target
from pktdiag.netfilter.nft.render.ebtables import Test, device_name, read_test
from pktdiag.netfilter.nft.render.iptables import verdict_text
from pktdiag.netfilter.nft.render.parts import NotTheirsError, Part
from pktdiag.netfilter.xt.base import mac_text, mask_suffix
from pktdiag.netfilter.xt.compat import render_target

ARP = 3
TARGET, IN, OUT, SOURCE, SOURCE_MAC, DESTINATION, DESTINATION_MAC, LENGTH, OPCODE, HARDWARE, PROTOCOL, OPTIONS = range(12)


def arptables_parts(ns: NamespaceView, expressions: list[Expression]) -> list[Part] | None:
    """The parts behind ``-A CHAIN``, or None when this is no rule of arptables-nft."""
    found: list[tuple[int, Part]] = []
    at = 0
    try:
        while at < len(expressions):
            each = expressions[at]
            if isinstance(each, MetaGet | PayloadLoad):
                test = read_test(expressions, at)
                rank, text = _test(test)
                if text:
                    found.append((rank, Part(text, at, test.last)))
                at = test.last
            elif isinstance(each, Target):
                text = render_target(each.name, each.revision, each.info, ARP, ns)
                jump, name, options = [*text.split(" ", 2), ""][:3]
                found.append((TARGET, Part(f"{jump} {name}", at, at)))
                if options:
                    found.append((OPTIONS, Part(options, at, at)))
            elif isinstance(each, ImmediateVerdict):
                found.append((TARGET, Part(verdict_text(each.verdict), at, at)))
            elif not isinstance(each, Counter):
                raise NotTheirsError
            at += 1
    except NotTheirsError:
        return None
    return [part for _, part in sorted(found, key=lambda item: item[0])]


def _test(test: Test) -> tuple[int, str]:
    """(rank, text); no text for the constants every rule compares: Ethernet, IPv4, their lengths."""
    load, data, bang = test.load, test.data, test.bang
    if isinstance(load, MetaGet) and load.key in (IIFNAME, OIFNAME):
        rank, option = (IN, "-i") if load.key == IIFNAME else (OUT, "-o")
        return rank, f"{bang}{option} {device_name(data)}"
    if not isinstance(load, PayloadLoad) or test.op not in (compare.EQ, compare.NEQ):
        raise NotTheirsError
    number, equal = int.from_bytes(data, "big"), test.op == compare.EQ
    if load.offset in (14, 24):
        mask = (test.mask or b"\xff" * load.length).ljust(4, b"\0")
        rank, option = (SOURCE, "-s") if load.offset == 14 else (DESTINATION, "-d")
        return rank, f"{bang}{option} {format_address(data.ljust(4, bytes(1)))}{mask_suffix(mask)}"
    if load.offset in (8, 18):
        mask = (test.mask or b"\xff" * load.length).ljust(6, b"\0")
        rank, option = (SOURCE_MAC, "--src-mac") if load.offset == 8 else (DESTINATION_MAC, "--dst-mac")
        return rank, f"{bang}{option} {mac_text(data.ljust(6, bytes(1)), mask)}"
    if load.offset == 0:
        return HARDWARE, "" if equal and number == 1 else f"{bang}--h-type {number}"
    if load.offset == 2:
        return PROTOCOL, f"{bang}--proto-type {number:#x}"
    if load.offset == 4:
        return LENGTH, "" if equal and number == 6 else f"{bang}--h-length {number}"
    if load.offset == 5:
        return LENGTH, ""
    if load.offset == 6:
        return OPCODE, f"{bang}--opcode {number}"
    raise NotTheirsError
