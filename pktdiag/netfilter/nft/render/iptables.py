"""Native expressions read back as the iptables rule they were made from.

iptables/nft-shared.c: nft_rule_to_iptables_command_state (1.8.9; nft-ruleparse.c since 1.8.10), nft-ipv4.c, nft-ipv6.c.
Options are printed in the order of iptables-save: -s -d -i -o -p -f, the matches as they come, the target.
"""

from __future__ import annotations

import sys

from pktdiag.model.kernel import NFPROTO_IPV4
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.nft import verdict as verdicts
from pktdiag.netfilter.nft.exprs import Expression
from pktdiag.netfilter.nft.exprs import cmp as compare
from pktdiag.netfilter.nft.exprs.bitwise import Bitwise
from pktdiag.netfilter.nft.exprs.cmp import Cmp
from pktdiag.netfilter.nft.exprs.counter import Counter
from pktdiag.netfilter.nft.exprs.immediate import ImmediateData, ImmediateVerdict
from pktdiag.netfilter.nft.exprs.limit import Limit
from pktdiag.netfilter.nft.exprs.log import Log
from pktdiag.netfilter.nft.exprs.match import Match
from pktdiag.netfilter.nft.exprs.meta import IIFNAME, L4PROTO, MARK, NFTRACE, OIFNAME, MetaGet, MetaSet
from pktdiag.netfilter.nft.exprs.payload import PayloadLoad
from pktdiag.netfilter.nft.exprs.range_ import Range
from pktdiag.netfilter.nft.exprs.target import Target
from pktdiag.netfilter.nft.packet_bytes import NETWORK_HEADER, TRANSPORT_HEADER
from pktdiag.netfilter.nft.render.parts import NotTheirsError, Part
from pktdiag.netfilter.xt.base import quoted
from pktdiag.netfilter.xt.compat import render_match, render_target
from pktdiag.netfilter.xt.render import Prefix, protocol_name, render_prefix

SOURCE, DESTINATION, IN, OUT, PROTOCOL, FRAGMENT, MATCH, TARGET = range(8)
_TCP_FLAGS = ((1, "FIN"), (2, "SYN"), (4, "RST"), (8, "PSH"), (16, "ACK"), (32, "URG"))
_RATES = ((864000000, "day"), (36000000, "hour"), (600000, "min"), (10000, "sec"))
_VERDICTS = {verdicts.NF_ACCEPT: "ACCEPT", verdicts.NF_DROP: "DROP", verdicts.NFT_RETURN: "RETURN"}


def iptables_parts(family: int, expressions: list[Expression], ns: NamespaceView | None = None) -> list[Part] | None:
    """The parts behind ``-A CHAIN``, or None when this is no rule of iptables. ``ns``: where ipsets have their names."""
    if not any(isinstance(each, Counter) for each in expressions):
        return None
    reader = _Reader(family, expressions, ns)
    try:
        reader.read()
    except NotTheirsError:
        return None
    return [part for _, part in sorted(reader.parts, key=lambda found: found[0])]


class _Reader:
    def __init__(self, family: int, expressions: list[Expression], ns: NamespaceView | None = None) -> None:
        self.family, self.expressions, self.ns = family, expressions, ns
        self.parts: list[tuple[int, Part]] = []
        self.proto = 0
        self.ports: int | None = None
        """Where in ``parts`` the tcp or udp match stands that options are added to."""
        self.options: list[tuple[int, str]] = []
        """Those, and their rank: they are saved in the order of struct xt_tcp, whatever the order of the expressions."""

    def add(self, rank: int, text: str, first: int, last: int) -> None:
        self.parts.append((rank, Part(text, first, last)))

    def read(self) -> None:
        at, expressions = 0, self.expressions
        while at < len(expressions):
            each = expressions[at]
            if isinstance(each, MetaGet) and each.key in (IIFNAME, OIFNAME) and isinstance(self.after(at), Counter):
                pass  # "-i +": loaded, compared with nothing
            elif isinstance(each, MetaGet | PayloadLoad):
                at = self.selector(at)
                continue
            elif isinstance(each, Match):
                self.add(MATCH, render_match(each.name, each.revision, each.info, self.family, self.ns), at, at)
            elif isinstance(each, Limit):
                self.add(MATCH, f"-m limit {limit_rate(each)}", at, at)
            elif isinstance(each, Target):
                self.add(TARGET, render_target(each.name, each.revision, each.info, self.family, self.ns), at, at)
            elif isinstance(each, Log) and each.group is not None:
                self.add(TARGET, f"-j NFLOG{_nflog(each)}", at, at)
            elif isinstance(each, ImmediateVerdict):
                self.add(TARGET, verdict_text(each.verdict), at, at)
            elif isinstance(each, ImmediateData) and self.is_trace(at):
                self.add(TARGET, "-j TRACE", at, at + 1)
                at += 1
            elif not isinstance(each, Counter):
                raise NotTheirsError
            at += 1

    def after(self, at: int) -> Expression | None:
        return self.expressions[at + 1] if at + 1 < len(self.expressions) else None

    def is_trace(self, at: int) -> bool:
        """Whether ``meta nftrace set`` follows."""
        following = self.after(at)
        return isinstance(following, MetaSet) and following.key == NFTRACE

    def selector(self, at: int) -> int:
        """A load, perhaps a mask, and a comparison; the index behind them."""
        load, first = self.expressions[at], at
        at += 1
        mask = None
        if at < len(self.expressions) and isinstance(found := self.expressions[at], Bitwise):
            mask, at = found.mask, at + 1
        test = self.expressions[at] if at < len(self.expressions) else None
        if isinstance(test, Cmp) and test.op in (compare.EQ, compare.NEQ):
            negated, low, high = test.op == compare.NEQ, test.data, test.data
        elif isinstance(test, Cmp) and len(test.data) == 2 and isinstance(load, PayloadLoad):
            # a range that begins or ends at the border: "--dport :1023", "! --dport :5"
            negated, value = False, int.from_bytes(test.data, "big")
            bounds = {compare.LT: (0, value - 1), compare.LTE: (0, value), compare.GT: (value + 1, 0xFFFF), compare.GTE: (value, 0xFFFF)}
            low, high = (max(0, min(each, 0xFFFF)).to_bytes(2, "big") for each in bounds[test.op])
        elif isinstance(test, Range):
            negated, low, high = test.negated, test.low, test.high
        else:
            raise NotTheirsError
        bang = "! " if negated else ""
        if isinstance(load, MetaGet):
            self.meta(load.key, low, mask, negated, first, at)
        elif isinstance(load, PayloadLoad) and load.base == NETWORK_HEADER:
            self.network(load, low, mask, negated, first, at)
        elif isinstance(load, PayloadLoad) and load.base == TRANSPORT_HEADER:
            self.transport(load, low, high, mask, bang, first, at)
        else:
            raise NotTheirsError
        return at + 1

    def meta(self, key: int, value: bytes, mask: bytes | None, negated: bool, first: int, last: int) -> None:
        bang = "! " if negated else ""
        if key in (IIFNAME, OIFNAME):
            name = value.partition(b"\0")[0].decode("utf-8", "surrogateescape") + ("" if b"\0" in value else "+")
            self.add(IN if key == IIFNAME else OUT, f"{bang}-{'i' if key == IIFNAME else 'o'} {name}", first, last)
        elif key == L4PROTO:
            self.proto = 0 if negated else value[0]
            self.add(PROTOCOL, f"{bang}-p {protocol_name(value[0])}", first, last)
        elif key == MARK:
            number = int.from_bytes(value, sys.byteorder)
            bits = "" if mask is None else f"/0x{int.from_bytes(mask, sys.byteorder):x}"
            self.add(MATCH, f"-m mark {bang}--mark 0x{number:x}{'' if bits == '/0xffffffff' else bits}", first, last)
        else:
            raise NotTheirsError

    def network(self, load: PayloadLoad, value: bytes, mask: bytes | None, negated: bool, first: int, last: int) -> None:
        source, width = (12, 4) if self.family == NFPROTO_IPV4 else (8, 16)
        if load.offset in (source, source + width) and load.length <= width:
            pair = value.ljust(width, b"\0"), (mask or b"\xff" * load.length).ljust(width, b"\0")
            if load.offset == source:
                self.add(SOURCE, render_prefix(Prefix(src=pair, src_inv=negated)), first, last)
            else:
                self.add(DESTINATION, render_prefix(Prefix(dst=pair, dst_inv=negated)), first, last)
        elif self.family == NFPROTO_IPV4 and load.offset == 6 and load.length == 2 and mask == b"\x1f\xff":
            self.add(FRAGMENT, "-f" if negated else "! -f", first, last)
        elif load.length == 1 and load.offset == (9 if self.family == NFPROTO_IPV4 else 6):
            self.proto = 0 if negated else value[0]
            self.add(PROTOCOL, f"{'! ' if negated else ''}-p {protocol_name(value[0])}", first, last)
        else:
            raise NotTheirsError

    def transport(self, load: PayloadLoad, low: bytes, high: bytes, mask: bytes | None, bang: str, first: int, last: int) -> None:
        name = {6: "tcp", 17: "udp"}.get(self.proto)
        if name is None:
            raise NotTheirsError
        if load.offset in (0, 2) and load.length == 2 and mask is None:
            one, two = int.from_bytes(low, "big"), int.from_bytes(high, "big")
            option = "--sport" if load.offset == 0 else "--dport"
            rank, text = load.offset, f"{bang}{option} {one if one == two else f'{one}:{two}'}"
        elif load.offset == 0 and load.length == 4 and mask is None and low == high:
            # both ports in one comparison (1.8.9: add_nft_tcpudp), negated as a whole
            rank, text = 0, f"{bang}--sport {int.from_bytes(low[:2], 'big')} {bang}--dport {int.from_bytes(low[2:], 'big')}"
        elif name == "tcp" and load.offset == 13 and load.length == 1:
            wanted = 0xFF if mask is None else mask[0]
            rank, text = load.offset, f"{bang}--tcp-flags {_flags(wanted)} {_flags(low[0])}"
        else:
            raise NotTheirsError
        self.options.append((rank, text))
        if self.ports is None:
            self.ports = len(self.parts)
            self.add(MATCH, f"-m {name} {text}", first, last)
        else:
            begun = self.parts[self.ports][1].first
            self.parts[self.ports] = MATCH, Part(" ".join((f"-m {name}", *(each for _, each in sorted(self.options)))), begun, last)


def _flags(bits: int) -> str:
    return ",".join(name for bit, name in _TCP_FLAGS if bits & bit) or "NONE"


def verdict_text(verdict: verdicts.Verdict) -> str:
    if verdict.code == verdicts.NFT_JUMP:
        return f"-j {verdict.chain}"
    if verdict.code == verdicts.NFT_GOTO:
        return f"-g {verdict.chain}"
    name = _VERDICTS.get(verdict.code)
    if name is None:
        raise NotTheirsError
    return f"-j {name}"


def limit_rate(limit: Limit, *, always: bool = False) -> str:
    """print_rate of extensions/libxt_limit.c: the largest unit in which the rate is a whole number.

    ``always``: print the burst even where it is the default, as ebtables does.
    """
    period = limit.unit * 10000 // limit.rate if limit.rate else 0
    chosen = 0
    while chosen + 1 < len(_RATES) and period:
        scale = _RATES[chosen + 1][0]
        if period > scale or scale // period < scale % period:
            break
        chosen += 1
    if not period:
        raise NotTheirsError
    burst = "" if limit.burst in (0, 5) and not always else f" --limit-burst {limit.burst}"
    return f"--limit {_RATES[chosen][0] // period}/{_RATES[chosen][1]}{burst}"


def _nflog(log: Log) -> str:
    """nflog_print of extensions/libxt_NFLOG.c."""
    text = f" --nflog-prefix {quoted(log.prefix)}" if log.prefix else ""
    text += f" --nflog-group {log.group}" if log.group else ""
    text += f" --nflog-size {log.snaplen}" if log.snaplen else ""
    return text + (f" --nflog-threshold {log.qthreshold}" if log.qthreshold else "")
