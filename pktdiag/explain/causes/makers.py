"""Who made a rule, and which other half of the rules a tool does not show: read from the names of chains."""

from __future__ import annotations

from pktdiag.explain.hook_owners import owner_of, owners_of
from pktdiag.model.kernel import AF_INET, AF_INET6, NFPROTO_BRIDGE, NFPROTO_INET
from pktdiag.model.trace import RuleRef
from pktdiag.model.view import NamespaceView, Unreadable
from pktdiag.netfilter.xt.blob import INET_CHAINS

FAMILIES = {"ip": AF_INET, "ip6": AF_INET6, "inet": NFPROTO_INET, "bridge": NFPROTO_BRIDGE}
_NAMES = {"docker": "Docker", "podman (netavark)": "Podman", "CNI plugins": "the CNI plugin", "kube-proxy / kubelet": "kube-proxy",
          "calico": "Calico", "cilium": "Cilium", "LXC / LXD / Incus": "LXD", "shorewall": "Shorewall"}
_USERS_OWN = ("DOCKER-USER", "CNI-ADMIN", "NETAVARK_USER")
"""Chains an engine makes for its administrator, who fills them."""
_IN_COMPANY = (
    ("firewalld", ("INPUT_ZONES", "PREROUTING_ZONES", "POSTROUTING_ZONES"), ("IN_", "FWD_", "FWDI_", "FWDO_", "PRE_", "POST_", "INPUT_POL",
                                                                            "FORWARD_POL")),
    ("shorewall", ("shorewall",), ("",)),
)
"""Programs with chains that go by names like "IN_public", which say nothing by themselves, beside others in the same table that do."""
_SETS_FORWARD_POLICY = ("docker", "ufw")
"""Programs that set the FORWARD policy to DROP: dockerd (libnetwork, setupIPForwarding) and ufw (DEFAULT_FORWARD_POLICY)."""


def chain_names(ns: NamespaceView, rule: RuleRef) -> tuple[str, ...]:
    """The chains of the rule's table; empty where they cannot be read."""
    try:
        if rule.backend.endswith("legacy"):
            from pktdiag.netfilter.xt.evaluate import load_table

            return tuple(load_table(ns, FAMILIES[rule.family], rule.table).chains())
        from pktdiag.netfilter.nft.wire import NFGENMSG, attributes, string

        found = (attributes(payload, NFGENMSG) for payload in ns.nft_chains(FAMILIES[rule.family]))
        return tuple(string(each, 3, "") for each in found if string(each, 1, "") == rule.table)
    except (Unreadable, KeyError, ValueError):
        return ()


def maker(ns: NamespaceView, rule: RuleRef) -> str:
    """The program that most likely made it ("Docker"), or ""."""
    if rule.chain in _USERS_OWN:
        return ""
    found = owner_of(rule.chain) or owner_of(rule.table)
    if found is None and rule.chain not in INET_CHAINS:
        others = chain_names(ns, rule)
        found = next((name for name, signs, prefixes in _IN_COMPANY
                      if rule.chain.startswith(prefixes) and not set(signs).isdisjoint(others)), None)
    if found is None and rule.index == 0 and rule.chain in ("FORWARD", "INPUT"):
        others = owners_of(chain_names(ns, rule))
        found = next((name for name in _SETS_FORWARD_POLICY if name in others and (name == "ufw" or rule.chain == "FORWARD")), None)
    return _NAMES.get(found, found) if found else ""


def mixed_backends(ns: NamespaceView, family: int) -> str:
    """Where the other half of the rules is, when iptables-legacy and nf_tables both hold some; else ""."""
    try:
        return "both iptables-legacy and nftables hold rules here, and each tool shows only its own half" \
            if _legacy_rules(ns, family) and _nft_rules(ns, family) else ""
    except (Unreadable, ValueError):
        return ""


def _legacy_rules(ns: NamespaceView, family: int) -> bool:
    """A table with a rule or a policy DROP; one that was only looked at is empty."""
    from pktdiag.netfilter.xt.evaluate import load_table

    return any(chain.rules or chain.policy == "DROP" for table in ns.xt_tables(family)
               for chain in load_table(ns, family, table).chains().values())


def _nft_rules(ns: NamespaceView, family: int) -> bool:
    from pktdiag.netfilter.nft.load import base_chains

    return any(chain.policy == 0 or ns.nft_rules(chain.family, chain.table, chain.name)
               for each in (family, NFPROTO_INET) for chain in base_chains(ns, each))
