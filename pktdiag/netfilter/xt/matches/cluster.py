"""cluster: this node's share of the connections. net/netfilter/xt_cluster.c: xt_cluster_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import PACKET_HOST, PACKET_MULTICAST
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.jhash import jhash2, native_words, reciprocal_scale
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang


class Cluster(NamedTuple):
    """struct xt_cluster_match_info."""

    total: int
    node_mask: int
    seed: int
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Cluster:
    if rev != 0:
        raise UnknownRevisionError
    total, mask, seed, flags = unpack_from("=4I", data)
    return Cluster(total, mask, seed, bool(flags & 1))


def evaluate(info: Cluster, ctx: HookContext) -> Tri:
    """Hashes the original source (the master's for a related connection). It also turns PACKET_MULTICAST into PACKET_HOST."""
    skb = ctx.skb
    multicast = skb.packet.dst[0] & 0xF0 == 0xE0 if len(skb.packet.dst) == 4 else skb.packet.dst[0] == 0xFF
    if not multicast and skb.pkt_type == PACKET_MULTICAST:
        skb.pkt_type = PACKET_HOST
    if skb.ct is None:
        return False
    source = (skb.ct.master or skb.ct).orig.src
    # Of an IPv6 address only the first word: NF_CT_TUPLE_L3SIZE counts words, and xt_cluster_hash_ipv6() takes it for bytes.
    node = reciprocal_scale(jhash2(native_words(source[:4]), info.seed), info.total)
    return bool(info.node_mask >> node & 1) != info.invert


def render(info: Cluster, family: int) -> str:
    return (f"{bang(info.invert)}--cluster-local-nodemask {info.node_mask:#010x} --cluster-total-nodes {info.total} "
            f"--cluster-hash-seed {info.seed:#010x}")
