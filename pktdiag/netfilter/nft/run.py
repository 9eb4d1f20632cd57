"""One packet on its way through one base chain: what expressions read beside registers (struct nft_pktinfo)."""

from __future__ import annotations

from pktdiag.model.kernel import (
    ETH_P_IP,
    ETH_P_IPV6,
    NFPROTO_BRIDGE,
    NFPROTO_INET,
    NFPROTO_IPV4,
    NFPROTO_IPV6,
    NFPROTO_NETDEV,
)
from pktdiag.netfilter.context import HookContext, Skb
from pktdiag.netfilter.nft.packet_bytes import Image, image

TYPE_CHECKING = False
if TYPE_CHECKING:

    from pktdiag.netfilter.nft.rule import Rule
    from pktdiag.netfilter.nft.set_elements import Element
    from pktdiag.netfilter.nft.sets import Set, SetStore


class Run:
    """State shared by the expressions of one evaluation of a base chain.

    ``pf`` is the protocol family the hook hands on: for inet chains NFPROTO_IPV4 or NFPROTO_IPV6, for the inet ingress
    hook the family of the frame (net/netfilter/nft_chain_filter.c: nft_do_chain_inet, nft_do_chain_inet_ingress).
    """

    __slots__ = ("chain", "ctx", "family", "has_l4", "met", "ns", "pf", "rule", "services", "sets", "skb", "table", "tprot")

    def __init__(self, ctx: HookContext, family: int, table: str, sets: SetStore) -> None:
        self.ctx = ctx
        self.ns = ctx.ns
        self.services = ctx.services
        self.skb: Skb = ctx.skb
        self.family = family
        self.table = table
        self.sets = sets
        self.rule: Rule | None = None
        self.met: list[tuple[Set, Element, bytes]] = []
        """Elements of named sets that lookups of the rule fell on, and by what key, where they say more than the rule does."""
        self.chain = ""
        self.pf = ctx.pf
        ethertype = self.skb.ethertype
        if self.pf == NFPROTO_INET:
            self.pf = NFPROTO_IPV6 if ethertype == ETH_P_IPV6 else NFPROTO_IPV4
        if self.pf in (NFPROTO_IPV4, NFPROTO_IPV6):
            self.has_l4 = True
        elif self.pf in (NFPROTO_BRIDGE, NFPROTO_NETDEV):
            # nft_set_pktinfo_ipv4_validate / _ipv6_validate; anything else is nft_set_pktinfo_unspec
            self.has_l4 = ethertype in (ETH_P_IP, ETH_P_IPV6) and self.skb.arp is None
        else:
            self.has_l4 = False
        self.tprot = self.skb.packet.proto
        """What the packet's protocol is taken for, once for the whole chain: of IPv6 possibly an authentication header."""
        if self.has_l4 and (self.skb.packet.ext_headers or self.skb.packet.fragment_offset) and ethertype == ETH_P_IPV6:
            self.has_l4, self.tprot = self.image.has_l4, self.image.tprot

    @property
    def image(self) -> Image:
        return image(self.skb.packet)

    @property
    def is_ip(self) -> bool:
        """The frame carries IPv4 or IPv6, so that the network header is an IP header."""
        return self.skb.arp is None and self.skb.ethertype in (ETH_P_IP, ETH_P_IPV6)
