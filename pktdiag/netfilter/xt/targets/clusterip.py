"""CLUSTERIP: one address, many nodes; gone from the kernel since 6.3. net/ipv4/netfilter/ipt_CLUSTERIP.c (6.2): clusterip_tg."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError

MODES = ("sourceip", "sourceip-sourceport", "sourceip-sourceport-destport")


class ClusterIp(NamedTuple):
    """struct ipt_clusterip_tgt_info."""

    new: bool
    mac: bytes
    total: int
    nodes: tuple[int, ...]
    mode: int
    initval: int


def decode(rev: int, data: bytes, family: int) -> ClusterIp:
    if rev != 0:
        raise UnknownRevisionError
    flags, mac, total, count, *rest = unpack_from("=I6sHH16H2xII", data)
    if count > 16 or rest[16] > 2:
        raise ValueError("CLUSTERIP")
    return ClusterIp(bool(flags & 1), mac, total, tuple(rest[:count]), rest[16], rest[17])


def evaluate(info: ClusterIp, ctx: HookContext, rule: RuleRef | None) -> HookResult | Unknown | None:
    return Unknown("this node of the CLUSTERIP cluster is responsible for the connection, which")


def render(info: ClusterIp, family: int) -> str:
    if not info.new:
        return ""
    return (f"--new --hashmode {MODES[info.mode]} --clustermac {info.mac.hex(':').upper()} --total-nodes {info.total} "
            f"--local-node {info.nodes[0] if info.nodes else 0} --hash-init {info.initval}")
