"""Connection tracking on bridges: what nf_conntrack_bridge does with frames itself, and what it and br_netfilter do with the connection
of a frame that goes up to the host, before anybody there may copy a frame whose connection is not in the table yet.

Sources: net/bridge/netfilter/nf_conntrack_bridge.c (nf_ct_bridge_pre, nf_ct_bridge_in, nf_ct_bridge_post), net/bridge/br_netfilter_hooks.c
(br_nf_local_in, br_nf_post_routing), both functions at LOCAL_IN since v6.8 (commit 62e7151ae3eb) and its backports.
"""

from __future__ import annotations

from pktdiag.model.kernel import ETH_P_IP, ETH_P_IPV6, NF_BR_LOCAL_IN, NF_BR_POST_ROUTING, NFPROTO_BRIDGE, PACKET_HOST
from pktdiag.model.view import HostView, NamespaceView
from pktdiag.netfilter.context import ACCEPT, CtState, HookContext, HookResult, Services, Skb, Unknown
from pktdiag.netfilter.own_hooks import as_ip, defragment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

GOING_UP = {"br_nf_local_in": "br_netfilter", "nf_ct_bridge_in": "nf_conntrack_bridge"}
"""The functions at LOCAL_IN and the modules they are in."""
PIECES = "how its fragments fare: the bridge puts them together for connection tracking and sends pieces again, which are not followed"


def tracked(ctx: HookContext, run: Callable[[HookContext], HookResult]) -> HookResult:
    """nf_ct_bridge_pre(): fragments are gathered and IP frames tracked as at the IP hooks, all others are untracked."""
    skb = ctx.skb
    if skb.ct is not None or skb.ct_state == CtState.UNTRACKED:
        return ACCEPT
    if not _ip(skb):
        skb.extra.pop("ct_template", None)
        skb.ct_state = CtState.UNTRACKED
        return ACCEPT
    ip = as_ip(ctx)
    pieces = skb.packet.is_fragment
    if pieces and "piece" in skb.extra:
        return HookResult("unknown", "", None, "how connection tracking on a bridge puts fragments together, which is not modelled")
    result = defragment(ip)
    if result.action != "accept":
        return result
    if pieces and not skb.packet.more_fragments:
        skb.extra["bridge_gathered"] = True
    return run(ip)


def on_the_way_out(ctx: HookContext, run: Callable[[HookContext], HookResult]) -> HookResult:
    """nf_ct_bridge_post(): the connection enters the table; what was gathered is cut up again (nf_ct_bridge_refrag)."""
    if not _ip(ctx.skb):
        return ACCEPT
    result = run(as_ip(ctx))
    if result.action == "accept" and ctx.skb.extra.get("bridge_gathered"):
        return HookResult("unknown", "", None, PIECES)
    return result


def tracked_anew(ctx: HookContext) -> HookResult:
    """nf_ct_bridge_in(): of what is not for the host alone the IP hooks are to make a connection of their own."""
    if _unconfirmed(ctx.skb) and _has(ctx, "nf_ct_bridge_in"):
        _let_go(ctx.skb)
    return ACCEPT


def settled(ctx: HookContext, confirm: Callable[[HookContext], HookResult]) -> HookResult:
    """br_nf_local_in(): the connection of what is not for the host alone enters the table before INPUT, too late for NAT and helpers
    there (nf_nat_setup_info() leaves a confirmed one alone). What the host gets because the bridge is promiscuous loses its
    connection (v6.9, commit 751de2012eaf, and its backports), and if it was taken through PRE_ROUTING, nothing finds it again."""
    skb = ctx.skb
    if skb.extra.get("promisc") and (skb.ct is not None or skb.ct_state is not None) and _has(ctx, "br_nf_local_in") and _resets(ctx):
        _let_go(skb)
        ctx.services.note(ctx, "br_netfilter takes the connection off what the bridge hands up because it is promiscuous (tcpdump?).")
        return ACCEPT
    if _unconfirmed(skb) and _has(ctx, "br_nf_local_in"):
        ctx.services.note(ctx, "br_netfilter confirms the connection of what is for many: too late for NAT in INPUT.")
        return confirm(as_ip(ctx))
    return ACCEPT


def listed(ns: NamespaceView, hook: int) -> list[tuple[int, str]] | None:
    """Priority and name of each function at a hook of bridges, in order; None where the kernel does not list them, or not by name
    (without CONFIG_KALLSYMS %ps prints addresses)."""
    known = ns.nf_hooks(NFPROTO_BRIDGE, hook, None)
    if known is None or any(name.startswith("0x") for _, name, _ in known):
        return None
    return [(priority, name) for priority, name, _ in known]


def there(host: HostView, ns: NamespaceView, function: str) -> bool | None:
    """Whether this kernel has one of ``GOING_UP``; None where nothing tells."""
    known = listed(ns, NF_BR_LOCAL_IN)
    if known is not None:
        return any(name == function for _, name in known)
    return host.kernel_function(GOING_UP[function], function)


def rank(ns: NamespaceView, function: str) -> int | None:
    """How many functions at LOCAL_IN run before this one; None where the kernel does not list them."""
    names = [name for _, name in listed(ns, NF_BR_LOCAL_IN) or ()]
    return names.index(function) if function in names else None


def detour_first(services: Services, ns: NamespaceView, skb: Skb) -> bool:
    """Whether br_nf_post_routing() runs before nf_ct_bridge_post(): both have the last priority, and the younger is first, which is
    br_netfilter's where rules asked for the connections of bridges before the first bridge was made (brnf_device_event). IP's POSTROUTING
    may translate a new connection only then: nf_nat_setup_info() leaves a confirmed one alone."""
    order = [name for _, name in listed(ns, NF_BR_POST_ROUTING) or () if name in ("br_nf_post_routing", "nf_ct_bridge_post")]
    if len(order) == 2:
        return order[0] == "br_nf_post_routing"
    if skb.ct is None or skb.ct.confirmed:
        return False
    return services.decide(Unknown("rules asked for the connections of bridges before the first bridge was made, so that br_netfilter's "
                                   "POSTROUTING comes first"), ("bridge-post-routing", ns.id))


def _has(ctx: HookContext, function: str) -> bool:
    found = there(ctx.services.host, ctx.ns, function)
    if found is not None:
        return found
    return ctx.services.decide(Unknown(f"{GOING_UP[function]} of this kernel looks after the connections of broadcasts that go up to the "
                                       f"host ({function}: 6.8 and later, 6.6.21, 6.1.81)"), ("bridge-local-in", function))


def _resets(ctx: HookContext) -> bool:
    found = ctx.services.host.kernel_member("br_netfilter", "br_input_skb_cb", "promisc")
    if found is not None:
        return found
    return ctx.services.decide(Unknown("this kernel lets go of the connections of what a promiscuous bridge hands up to the host (6.9 and "
                                       "later, 6.6.29, 6.1.88)"), ("bridge-promisc",))


def _unconfirmed(skb: Skb) -> bool:
    return skb.pkt_type != PACKET_HOST and skb.ct is not None and not skb.ct.confirmed


def _let_go(skb: Skb) -> None:
    """nf_reset_ct()"""
    skb.ct = skb.ct_state = None
    skb.extra.pop("ct_template", None)


def _ip(skb: Skb) -> bool:
    return skb.ethertype in (ETH_P_IP, ETH_P_IPV6) and skb.arp is None
