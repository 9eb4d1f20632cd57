"""Tables and chains that iptables-nft makes and calls its own: iptables/nft.c: xtables_ipv4, xtables_arp, xtables_bridge."""

from __future__ import annotations

from pktdiag.model.kernel import NFPROTO_ARP, NFPROTO_BRIDGE, NFPROTO_IPV4, NFPROTO_IPV6
from pktdiag.netfilter.nft.tables import BaseChain

_FILTER = {"INPUT": (1, 0), "FORWARD": (2, 0), "OUTPUT": (3, 0)}
_IP = {
    "filter": _FILTER,
    "nat": {"PREROUTING": (0, -100), "INPUT": (1, 100), "POSTROUTING": (4, 100), "OUTPUT": (3, -100)},
    "mangle": {"PREROUTING": (0, -150), "INPUT": (1, -150), "FORWARD": (2, -150), "OUTPUT": (3, -150), "POSTROUTING": (4, -150)},
    "raw": {"PREROUTING": (0, -300), "OUTPUT": (3, -300)},
    "security": {"INPUT": (1, 50), "FORWARD": (2, 50), "OUTPUT": (3, 50)},
}
_BRIDGE = {
    "filter": {"INPUT": (1, -200), "FORWARD": (2, -200), "OUTPUT": (3, -200)},
    "nat": {"PREROUTING": (0, -300), "OUTPUT": (3, 100), "POSTROUTING": (4, 300)},
    "broute": {"BROUTING": (0, -400)},
}
_ARP = {"filter": {"INPUT": (0, 0), "OUTPUT": (1, 0)}}
BUILTIN = {NFPROTO_IPV4: _IP, NFPROTO_IPV6: _IP, NFPROTO_ARP: _ARP, NFPROTO_BRIDGE: _BRIDGE}


def is_builtin(chain: BaseChain) -> bool:
    """Whether name, hook and priority are exactly those of an iptables-nft chain (nft_is_chain_compatible)."""
    wanted = BUILTIN.get(chain.family, {}).get(chain.table, {}).get(chain.name)
    # iptables 1.8.9 hangs its security table at 150 where the kernel's own has NF_IP_PRI_SECURITY, 50
    priority = 50 if chain.table == "security" and chain.priority == 150 else chain.priority
    return wanted == (chain.hook, priority)
