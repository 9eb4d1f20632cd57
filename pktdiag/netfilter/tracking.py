"""Whether connection tracking, NAT and defragmentation are at work in a namespace.

They are switched on per namespace and family by the rules that need them and off with the last one: nf_ct_netns_get()
(net/netfilter/nf_conntrack_proto.c) from the init functions of nft_ct.c, nft_nat.c, nft_masq.c, nft_redir.c,
nft_connlimit.c, nft_synproxy.c, nft_flow_offload.c and from the checkentry of the xt extensions below;
nf_nat_register_fn() with the first nat chain; nf_defrag_ipv4_enable() also from tproxy and socket.

Where the kernel lists its hooks (nfnetlink_hook, not built into every kernel) the list is the truth. Elsewhere the rules
are searched for these names: base chains first, so that a container host answers after a chain or two. The search looks
at raw bytes, since decoding 20,000 rules for one bit would cost more than the rest of the walk.
"""

from __future__ import annotations

from _weakref import ref as weak_reference

from pktdiag.model.kernel import (
    AF_INET,
    NF_INET_FORWARD,
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
    NFPROTO_BRIDGE,
    NFPROTO_INET,
    NFPROTO_IPV4,
)
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NFT_USERS = (b"ct", b"nat", b"masq", b"redir", b"synproxy", b"connlimit", b"flow_offload")
_XT_USERS = (b"conntrack", b"state", b"connmark", b"connbytes", b"connlabel", b"connlimit", b"helper", b"cluster", b"DNAT",
             b"SNAT", b"MASQUERADE", b"REDIRECT", b"NETMAP", b"CONNMARK", b"CONNSECMARK", b"CT", b"SYNPROXY", b"CLUSTERIP")
_XT_CT_NOTRACK = 1
_WINDOW = 1 << 16
_CT_OBJECTS = (3, 7, 9, 10)
"""NFT_OBJECT_CT_HELPER, _CT_TIMEOUT, _CT_EXPECT, _SYNPROXY."""


def _attribute(name: bytes) -> bytes:
    """An attribute of type 1 holding the name: NFTA_EXPR_NAME, NFTA_MATCH_NAME and NFTA_TARGET_NAME all are."""
    return (5 + len(name)).to_bytes(2, "little") + b"\x01\x00" + name + b"\0"


_NFT_PATTERNS = tuple((name, _attribute(name)) for name in _NFT_USERS + _XT_USERS)
_DEFRAG_PATTERNS = tuple(_attribute(name) for name in (b"tproxy", b"TPROXY"))
_XT_MATCH, _SOCKET = b"\x0a\0\x01\0match\0\0\0", _attribute(b"socket")
"""nft's own ``socket`` is no reason to put fragments together (nft_socket_init), iptables' is (xt_socket.c: socket_mt_enable_defrag)."""

Registered = tuple[int, str, str]


class Facts(NamedTuple):
    conntrack: bool
    nat: bool
    defrag: bool
    registered: dict[int, Sequence[Registered]] | None = None
    """hook -> what nfnetlink_hook lists there; None where the kernel cannot say."""

    def others(self, hook: int) -> list[Registered]:
        """Registered functions that nothing here models."""
        return [item for item in (self.registered or {}).get(hook, ()) if not item[1].startswith(_MODELLED)]


_MODELLED = ("nft_do_chain", "ipt_do_table", "ip6t_do_table", "iptable_", "ip6table_", "ipv4_conntrack", "ipv6_conntrack",
             "nf_confirm", "ipv4_confirm", "ipv6_confirm", "ipv4_helper", "ipv6_helper", "nf_nat_", "ipv6_defrag",
             "apparmor_", "selinux_", "smack_", "br_nf", "ip_sabotage", "ipv4_synproxy", "ipv6_synproxy", "0x")

_Stamp = tuple[object, ...]
_cache: list[tuple[object, int, _Stamp, Facts]] = []
_REMEMBERED = 128


def facts(ns: NamespaceView, pf: int) -> Facts:
    """For NFPROTO_IPV4 or NFPROTO_IPV6. Remembered while view, ruleset generation and legacy tables stay the same. Raises
    Unreadable."""
    stamp = (ns.nft_generation(), *_legacy_blobs(ns, pf))
    for at, (view, family, known, answer) in enumerate(_cache):
        if family == pf and view() is ns:  # type: ignore[operator]
            if known == stamp:
                return answer
            del _cache[at]
            break
    made = _read(ns, pf)
    _cache.append((weak_reference(ns), pf, stamp, made))
    del _cache[:-_REMEMBERED]
    return made


def _read(ns: NamespaceView, pf: int) -> Facts:
    registered = {}
    for hook in (NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING):
        listed = ns.nf_hooks(pf, hook, None)
        if listed is None:
            break
        registered[hook] = listed
    else:
        names = [function for listed in registered.values() for _, function, _ in listed]
        if any(name.startswith("0x") for name in names):
            return _searched(ns, pf)  # kptr_restrict hides the names
        return Facts(any(name.startswith(("ipv4_conntrack_in", "ipv6_conntrack_in")) for name in names),
                     any(name.startswith("nf_nat_") for name in names),
                     any("defrag" in name for name in names), registered)
    return _searched(ns, pf)


def _searched(ns: NamespaceView, pf: int) -> Facts:
    conntrack = _uses_conntrack(ns, pf)
    return Facts(conntrack, _has_nat(ns, pf), conntrack or _uses_defrag(ns, pf))


def on_bridges(ns: NamespaceView) -> bool:
    """nf_conntrack_bridge is switched on by a bridge family rule that needs conntrack (nf_ct_netns_get(NFPROTO_BRIDGE))."""
    from pktdiag.netfilter.nft.load import base_chains

    if not base_chains(ns, NFPROTO_BRIDGE):
        return False
    rules = (rule for payload in ns.nft_chains(NFPROTO_BRIDGE)
             for rule in ns.nft_rules(NFPROTO_BRIDGE, _text(payload, 1), _text(payload, 3)))
    return any(rule.find(pattern, _behind_table(rule)) >= 0 for rule in rules for name, pattern in _NFT_PATTERNS if name in _NFT_USERS)


def _behind_table(rule: bytes) -> int:
    """Where the search starts: NFTA_RULE_TABLE, the first attribute, is of type 1 too, and a table may be called "nat"."""
    return 4 + (int.from_bytes(rule[4:6], "little") + 3 & ~3) if rule[6:8] == b"\x01\x00" else 4


def _has_nat(ns: NamespaceView, pf: int) -> bool:
    from pktdiag.netfilter.nft.load import base_chains

    return ("nat" in ns.xt_tables(pf)
            or any(chain.type == "nat" and not chain.dormant
                   for family in (pf, NFPROTO_INET) for chain in base_chains(ns, family)))


def _uses_conntrack(ns: NamespaceView, pf: int) -> bool:
    for family, rules in _all_rules(ns, pf):
        for rule in rules:
            for name, pattern in _NFT_PATTERNS:
                at = rule.find(pattern, _behind_table(rule))
                if at >= 0 and not (name == b"nat" and _other_nat_family(rule, at, family, pf)) and not (
                        name == b"CT" and _notrack(rule, at)):
                    return True
    if any(_blob_uses(blob) for blob in _legacy_blobs(ns, pf)):
        return True
    return _objects_use(ns, pf)


def _uses_defrag(ns: NamespaceView, pf: int) -> bool:
    for family, rules in _all_rules(ns, pf):
        if family == NFPROTO_BRIDGE:
            continue
        if any(pattern in rule for rule in rules for pattern in _DEFRAG_PATTERNS) or any(map(_is_xt_socket, rules)):
            return True
    return any(name + b"\0" in blob for blob in _legacy_blobs(ns, pf) for name in (b"TPROXY", b"socket"))


def _is_xt_socket(rule: bytes) -> bool:
    at = rule.find(_SOCKET)
    while at >= 0:
        if rule[at - len(_XT_MATCH) - 4:at - 4] == _XT_MATCH:  # the head of NFTA_EXPR_DATA in between
            return True
        at = rule.find(_SOCKET, at + 1)
    return False


def _all_rules(ns: NamespaceView, pf: int) -> Iterator[tuple[int, Sequence[bytes]]]:
    """Raw rules of all chains that may pin conntrack for ``pf``: nat base chains, other base chains, then the rest."""
    from pktdiag.netfilter.nft.load import base_chains

    seen = set()
    for family in (pf, NFPROTO_INET, NFPROTO_BRIDGE):
        for chain in sorted(base_chains(ns, family), key=lambda chain: chain.type != "nat"):
            seen.add((family, chain.table, chain.name))
            yield family, ns.nft_rules(family, chain.table, chain.name)
    for family in (pf, NFPROTO_INET, NFPROTO_BRIDGE):
        for payload in ns.nft_chains(family):
            table, name = _text(payload, 1), _text(payload, 3)
            if (family, table, name) not in seen:
                yield family, ns.nft_rules(family, table, name)


def _text(payload: bytes, wanted: int) -> str:
    """One string attribute of a payload (NFTA_CHAIN_TABLE 1, NFTA_CHAIN_NAME 3)."""
    at = 4
    while at + 4 <= len(payload):
        length = int.from_bytes(payload[at:at + 2], "little")
        if length < 4:
            break
        if int.from_bytes(payload[at + 2:at + 4], "little") & 0x3FFF == wanted:
            return payload[at + 4:at + length].rstrip(b"\0").decode("utf-8", "surrogateescape")
        at += length + 3 & ~3
    return ""


def _other_nat_family(rule: bytes, at: int, family: int, pf: int) -> bool:
    """``dnat ip to …`` in an inet table pins IPv4 alone (nft_nat_init: NFTA_NAT_FAMILY, a big-endian word of type 2)."""
    if family != NFPROTO_INET:
        return False
    attribute = rule.find(b"\x08\x00\x02\x00\x00\x00\x00", at, at + 48)
    return attribute >= 0 and rule[attribute + 7] not in (pf, NFPROTO_INET)


def _notrack(rule: bytes, at: int) -> bool:
    """``-j CT --notrack`` needs no tracking: xt_ct_target_info.flags, the first word of NFTA_TARGET_INFO (type 3)."""
    info = rule.find(b"\x03\x00", at + 8, at + 40)
    return info >= 0 and bool(int.from_bytes(rule[info + 2:info + 4], "little") & _XT_CT_NOTRACK)


def _legacy_blobs(ns: NamespaceView, pf: int) -> Iterator[bytes]:
    for table in ns.xt_tables(pf):
        yield ns.xt_table(pf, table)[1]


def _blob_uses(blob: bytes) -> bool:
    """struct xt_entry_match / xt_entry_target: u16 size, char name[29], u8 revision. A chain's name in an ERROR target has
    no such size in front. Window by window: in a table of megabytes some user stands near the start."""
    for start in range(0, len(blob), _WINDOW):
        end = start + _WINDOW + 32  # a name on the border is found in the first of both
        for name in _XT_USERS:
            at = blob.find(name + b"\0", start, end)
            while at >= 0:
                size = int.from_bytes(blob[at - 2:at], "little") if at >= 2 else 0
                if size >= 32 and size % 8 == 0 and blob[at:at + 29].rstrip(b"\0") == name and not (
                        name == b"CT" and blob[at + 30] & _XT_CT_NOTRACK):
                    return True
                at = blob.find(name + b"\0", at + 1, end)
    return False


def _objects_use(ns: NamespaceView, pf: int) -> bool:
    """Named ct helpers, timeouts and expectations pin conntrack, used or not. Tables come with their family first."""
    for payload in ns.nft_tables():
        if payload and payload[0] in (pf, NFPROTO_INET, NFPROTO_BRIDGE):
            for item in ns.nft_objects(payload[0], _text(payload, 1)):
                at = item.find(b"\x08\x00\x03\x00\x00\x00\x00")
                if at >= 0 and item[at + 7] in _CT_OBJECTS:
                    return True
    return False


assert NFPROTO_IPV4 == AF_INET  # families of legacy tables and of nft are one number space for IP
