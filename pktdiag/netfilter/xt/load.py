"""Which legacy tables hang at which hooks, with their priorities.

Sources: the ``xt_table`` and its ``.priority`` in net/ipv4/netfilter/iptable_{raw,mangle,nat,filter,security}.c and their
ip6table_* twins; arptable_filter.c; net/bridge/netfilter/ebtable_{broute,filter,nat}.c.
"""

from __future__ import annotations

from pktdiag.model.kernel import (
    AF_INET,
    AF_INET6,
    NF_BR_FORWARD,
    NF_BR_LOCAL_IN,
    NF_BR_LOCAL_OUT,
    NF_BR_POST_ROUTING,
    NF_BR_PRE_ROUTING,
    NF_INET_FORWARD,
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
    NF_IP_PRI_FILTER,
    NF_IP_PRI_MANGLE,
    NF_IP_PRI_NAT_DST,
    NF_IP_PRI_NAT_SRC,
    NF_IP_PRI_RAW,
    NF_IP_PRI_SECURITY,
    NFPROTO_ARP,
    NFPROTO_BRIDGE,
)
from pktdiag.model.view import NamespaceView

_ALL = (NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING)
_FILTER = (NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT)
_INET: dict[str, tuple[tuple[tuple[int, ...], int], ...]] = {
    "raw": (((NF_INET_PRE_ROUTING, NF_INET_LOCAL_OUT), NF_IP_PRI_RAW),),
    "mangle": ((_ALL, NF_IP_PRI_MANGLE),),
    "nat": (((NF_INET_PRE_ROUTING, NF_INET_LOCAL_OUT), NF_IP_PRI_NAT_DST),
            ((NF_INET_POST_ROUTING, NF_INET_LOCAL_IN), NF_IP_PRI_NAT_SRC)),
    "filter": ((_FILTER, NF_IP_PRI_FILTER),),
    "security": ((_FILTER, NF_IP_PRI_SECURITY),),
}
_ARP: dict[str, tuple[tuple[tuple[int, ...], int], ...]] = {"filter": (((0, 1, 2), NF_IP_PRI_FILTER),)}
NF_BR_PRI_NAT_DST_BRIDGED, NF_BR_PRI_FILTER_BRIDGED, NF_BR_PRI_FILTER_OTHER = -300, -200, 200
NF_BR_PRI_NAT_DST_OTHER, NF_BR_PRI_NAT_SRC, NF_BR_PRI_FIRST = 100, 300, -2147483648
_BRIDGE: dict[str, tuple[tuple[tuple[int, ...], int], ...]] = {
    "broute": (((NF_BR_PRE_ROUTING,), NF_BR_PRI_FIRST),),
    "filter": (((NF_BR_LOCAL_IN, NF_BR_FORWARD), NF_BR_PRI_FILTER_BRIDGED), ((NF_BR_LOCAL_OUT,), NF_BR_PRI_FILTER_OTHER)),
    "nat": (((NF_BR_PRE_ROUTING,), NF_BR_PRI_NAT_DST_BRIDGED), ((NF_BR_LOCAL_OUT,), NF_BR_PRI_NAT_DST_OTHER),
            ((NF_BR_POST_ROUTING,), NF_BR_PRI_NAT_SRC)),
}
_FAMILIES = {AF_INET: _INET, AF_INET6: _INET, NFPROTO_ARP: _ARP, NFPROTO_BRIDGE: _BRIDGE}


def legacy_hooks(ns: NamespaceView, family: int) -> list[tuple[str, tuple[int, ...], int]]:
    """(table, hook numbers, priority) of every legacy table in use, unmerged; ``nat`` runs only for a connection's first
    packet (nf_nat_inet_fn), which is its caller's business. Raises Unreadable.

    An unknown table name is returned at all hooks with the priority of ``filter``, so that it is not skipped.
    """
    known = _FAMILIES[family]
    hooks: list[tuple[str, tuple[int, ...], int]] = []
    for table in ns.xt_tables(family):
        for numbers, priority in known.get(table, ((_ALL, NF_IP_PRI_FILTER),)):
            hooks.append((table, numbers, _raw_priority(ns, family, table, priority)))
    return hooks


def _raw_priority(ns: NamespaceView, family: int, table: str, priority: int) -> int:
    """The module parameter ``raw_before_defrag`` of iptable_raw/ip6table_raw moves raw to NF_IP_PRI_RAW_BEFORE_DEFRAG (-450).

    /sys/module is not per namespace and not part of the view; the registered hook list tells where the kernel has it.
    """
    if table != "raw" or family not in (AF_INET, AF_INET6):
        return priority
    for found, function, _module in ns.nf_hooks(family, NF_INET_PRE_ROUTING, None) or ():
        if function in ("iptable_raw_hook", "ip6table_raw_hook", "ipt_do_table", "ip6t_do_table") and found == -450:
            return -450
    return priority


