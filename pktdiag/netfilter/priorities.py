"""What the kernel itself registers at netfilter hooks, with its priorities.

Sources: include/uapi/linux/netfilter_{ipv4,ipv6,bridge}.h; net/netfilter/nf_conntrack_proto.c (ipv4_conntrack_ops,
ipv6_conntrack_ops), nf_nat_proto.c (nf_nat_ipv4_ops, nf_nat_ipv6_ops), net/ipv4/netfilter/nf_defrag_ipv4.c,
net/ipv6/netfilter/nf_defrag_ipv6_hooks.c, net/bridge/netfilter/nf_conntrack_bridge.c, net/netfilter/nf_synproxy_core.c.
"""

from __future__ import annotations

from pktdiag.model.kernel import (
    NF_INET_FORWARD,
    NF_INET_INGRESS,
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
    NF_NETDEV_EGRESS,
    NF_NETDEV_INGRESS,
    NFPROTO_ARP,
    NFPROTO_BRIDGE,
    NFPROTO_INET,
    NFPROTO_IPV4,
    NFPROTO_IPV6,
    NFPROTO_NETDEV,
)

INT_MIN, INT_MAX = -2147483648, 2147483647

CONNTRACK_DEFRAG, RAW_BEFORE_DEFRAG, CONNTRACK, NAT_DST, NAT_SRC = -400, -450, -200, -100, 100
CONNTRACK_HOOKS = frozenset((NF_INET_PRE_ROUTING, NF_INET_LOCAL_OUT))
CONFIRM_HOOKS = frozenset((NF_INET_LOCAL_IN, NF_INET_POST_ROUTING))
NAT_HOOKS = frozenset((NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING))
SYNPROXY_PRIORITY = INT_MAX - 1
BRIDGE_NETFILTER = 0
"""NF_BR_PRI_BRNF: where br_netfilter takes a bridged IP packet through the IP hooks."""


def confirm_priority(pf: int, hook: int) -> int:
    """IPv4 confirms at INT_MAX on both hooks; IPv6 one earlier on LOCAL_IN (ipv6_conntrack_ops)."""
    return INT_MAX - 1 if pf == NFPROTO_IPV6 and hook == NF_INET_LOCAL_IN else INT_MAX


def nat_priority(hook: int) -> int:
    """nf_nat_ipv4_ops / nf_nat_ipv6_ops: destination NAT early, source NAT late; nat chains' own priorities only order
    them among themselves within this hook."""
    return NAT_DST if hook in CONNTRACK_HOOKS else NAT_SRC


FAMILY_NAMES = {NFPROTO_INET: "inet", NFPROTO_IPV4: "ip", NFPROTO_ARP: "arp", NFPROTO_NETDEV: "netdev",
                NFPROTO_BRIDGE: "bridge", NFPROTO_IPV6: "ip6"}
_INET_NAMES = {NF_INET_PRE_ROUTING: "prerouting", NF_INET_LOCAL_IN: "input", NF_INET_FORWARD: "forward",
               NF_INET_LOCAL_OUT: "output", NF_INET_POST_ROUTING: "postrouting", NF_INET_INGRESS: "ingress"}


def hook_name(pf: int, hook: int) -> str:
    """As nft spells it."""
    if pf == NFPROTO_NETDEV:
        return {NF_NETDEV_INGRESS: "ingress", NF_NETDEV_EGRESS: "egress"}.get(hook, str(hook))
    if pf == NFPROTO_ARP:
        return {0: "input", 1: "output", 2: "forward"}.get(hook, str(hook))
    return _INET_NAMES.get(hook, str(hook))
