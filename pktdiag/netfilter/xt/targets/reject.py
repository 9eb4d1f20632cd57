"""REJECT: drop, and say so. net/ipv4/netfilter/ipt_REJECT.c: reject_tg; net/ipv6/netfilter/ip6t_REJECT.c: reject_tg6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import AF_INET6, NFPROTO_IPV6
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError

TYPES4 = ("icmp-net-unreachable", "icmp-host-unreachable", "icmp-proto-unreachable", "icmp-port-unreachable", "echo-reply",
          "icmp-net-prohibited", "icmp-host-prohibited", "tcp-reset", "icmp-admin-prohibited")
TYPES6 = ("icmp6-no-route", "icmp6-adm-prohibited", "icmp6-not-neighbour", "icmp6-addr-unreachable", "icmp6-port-unreachable",
          "echo-reply", "tcp-reset", "icmp6-policy-fail", "icmp6-reject-route")


def decode(rev: int, data: bytes, family: int) -> int:
    if rev != 0:
        raise UnknownRevisionError
    with_: int = unpack_from("=I", data)[0]
    if with_ >= 9:
        raise ValueError("reject type")
    return with_


def evaluate(info: int, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    """The packet is dropped whether or not an answer can be sent; whether one is, is the sender's business."""
    name = (TYPES6 if ctx.pf == NFPROTO_IPV6 else TYPES4)[info]
    if name == "echo-reply":
        return HookResult("drop", "NETFILTER_DROP", rule, "dropped by REJECT, which answers nothing here", cause="rule-drop")
    answer = "tcp reset" if name == "tcp-reset" else name.replace("icmp6-", "icmpv6 ", 1).replace("icmp-", "icmp ", 1)
    return HookResult("drop", "NETFILTER_DROP", rule, f"rejected with {answer}", answer, "rule-reject")


def render(info: int, family: int) -> str:
    return f"--reject-with {(TYPES6 if family == AF_INET6 else TYPES4)[info]}"
