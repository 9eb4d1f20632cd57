"""The one door to every match and target, for legacy tables and for nft's ``match``/``target`` expressions alike.

Both hold the same C structure behind a name and a revision (net/netfilter/nft_compat.c hands NFTA_MATCH_INFO to the very
functions that ip_tables calls), so each is decoded, evaluated and rendered once, in ``matches/NAME.py``, ``targets/NAME.py``.
Whatever is not known by name, revision or length is an Unknown that names it, never skipped.
"""

from __future__ import annotations

import struct
import sys

from pktdiag.model.kernel import NFPROTO_ARP, NFPROTO_BRIDGE
from pktdiag.model.trace import RuleRef
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import HookContext, HookResult, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError

_MATCHES = """
addrtype ah bpf cgroup cluster comment connbytes connlabel connlimit connmark conntrack cpu dccp devgroup dscp dst ecn
esp eui64 frag hashlimit hbh helper hl icmp icmp6 ipcomp iprange ipv6header ipvs length limit mac mark mh multiport
nfacct osf owner physdev pkttype policy quota rateest realm recent rpfilter rt sctp set socket srh state statistic
string tcp tcpmss time tos ttl u32 udp udplite
"""
MATCHES = frozenset(_MATCHES.split())
_TARGETS = """
AUDIT CHECKSUM CLASSIFY CLUSTERIP CONNMARK CONNSECMARK CT DNAT DNPT DSCP ECN HL HMARK IDLETIMER LED LOG MARK MASQUERADE
NETMAP NFLOG NFQUEUE NOTRACK RATEEST REDIRECT REJECT SECMARK SET SNAT SNPT SYNPROXY TCPMSS TCPOPTSTRIP TEE TOS TPROXY
TRACE TTL ULOG
"""
TARGETS = frozenset(_TARGETS.split())
BRIDGE_MATCHES = frozenset(["802_3", "among", "arp", "ip", "ip6", "limit", "mark_m", "pkttype", "stp", "vlan"])
BRIDGE_TARGETS = frozenset(["arpreply", "dnat", "log", "mark", "nflog", "redirect", "snat"])
DRAWS = frozenset(("limit", "statistic", "hashlimit"))
"""Matches that answer anew each time they are asked: their Unknown is a question of its own at every visit."""
HARMLESS_TARGETS = frozenset(("LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "CHECKSUM", "RATEEST", "LED", "IDLETIMER", "log", "nflog"))
"""Targets that never end the way and change nothing a later stage decides on."""

TargetResult = HookResult | str | Unknown | None
"""A verdict, None (XT_CONTINUE), "RETURN", or Unknown (an unmodelled target)."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_CACHE_LIMIT = 50_000
_decoded: dict[tuple[str, str, int, bytes, int], tuple[ModuleType, Any] | Unknown] = {}


def _module(kind: str, name: str, family: int) -> ModuleType | None:
    """Family's own extension first, then the one for all, as xt_find_match/xt_find_target (net/netfilter/x_tables.c)."""
    if family == NFPROTO_BRIDGE and name in (BRIDGE_MATCHES if kind == "match" else BRIDGE_TARGETS):
        file = f"ebt_{name}"
    elif family == NFPROTO_ARP and kind == "target" and name == "mangle":
        file = "arpt_mangle"
    elif name in (MATCHES if kind == "match" else TARGETS):
        file = name.lower()
    else:
        return None
    path = f"pktdiag.netfilter.xt.{'matches' if kind == 'match' else 'targets'}.{file}"
    __import__(path)
    return sys.modules[path]


def decode(kind: str, name: str, rev: int, blob: bytes, family: int) -> tuple[ModuleType, Any] | Unknown:
    """The extension's module and its decoded data; ``kind`` is "match" or "target". Remembered."""
    key = (kind, name, rev, blob, family)
    found = _decoded.get(key)
    if found is None:
        found = _decode(kind, name, rev, blob, family)
        if len(_decoded) >= _CACHE_LIMIT:
            _decoded.clear()
        _decoded[key] = found
    return found


def _decode(kind: str, name: str, rev: int, blob: bytes, family: int) -> tuple[ModuleType, Any] | Unknown:
    try:
        module = _module(kind, name, family)
        if module is None:
            return Unknown(f"the {kind} {name} (revision {rev}), which pktdiag does not model, matches")
        return module, module.decode(rev, blob, family)
    except UnknownRevisionError:
        return Unknown(f"the {kind} {name} in its revision {rev}, which pktdiag does not model, matches")
    except (struct.error, IndexError, ValueError):
        return Unknown(f"the {kind} {name} (revision {rev}), whose data could not be decoded, matches")


def evaluate_match(name: str, rev: int, blob: bytes, ctx: HookContext, family: int | None = None) -> Tri:
    """Whether the match holds for ``ctx``'s packet. ``ctx.skb.extra[base.HOTDROP]`` is set when it wants the packet dropped.
    ``family``: whose extension it is, where that is not the hook's."""
    found = decode("match", name, rev, blob, ctx.pf if family is None else family)
    if isinstance(found, Unknown):
        return found
    result: Tri = found[0].evaluate(found[1], ctx)
    return result


def evaluate_target(name: str, rev: int, blob: bytes, ctx: HookContext, rule: RuleRef | None = None) -> TargetResult:
    """Does what the target does. ``rule`` is the rule it belongs to, for log lines and verdicts."""
    found = decode("target", name, rev, blob, ctx.pf)
    if isinstance(found, Unknown):
        return Unknown(f"{found.condition.removesuffix(' matches')} lets the packet go on")
    result: TargetResult = found[0].evaluate(found[1], ctx, rule)
    return result


def _options(module: ModuleType, info: Any, family: int, ns: NamespaceView | None) -> str:
    render_in = getattr(module, "render_in", None)
    text: str = render_in(info, family, ns) if render_in is not None else module.render(info, family)
    return text


def render_match(name: str, rev: int, blob: bytes, family: int, ns: NamespaceView | None = None) -> str:
    """``-m NAME OPTIONS`` as iptables-save prints it (ebtables matches: the bare options). ``ns``: where ipsets have names."""
    found = decode("match", name, rev, blob, family)
    if isinstance(found, Unknown):
        return f"-m {name} [revision {rev}: not decoded]"
    module, info = found
    options = _options(module, info, family, ns)
    if family == NFPROTO_BRIDGE and name in BRIDGE_MATCHES:
        return options
    shown = module.alias(info) if hasattr(module, "alias") else name
    return f"-m {shown} {options}" if options else f"-m {shown}"


def render_target(name: str, rev: int, blob: bytes, family: int, ns: NamespaceView | None = None) -> str:
    """``-j NAME OPTIONS`` as iptables-save prints it."""
    found = decode("target", name, rev, blob, family)
    if isinstance(found, Unknown):
        return f"-j {name} [revision {rev}: not decoded]"
    module, info = found
    options = _options(module, info, family, ns)
    shown = module.alias(info) if hasattr(module, "alias") else name
    return f"-j {shown} {options}" if options else f"-j {shown}"
