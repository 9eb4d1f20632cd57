"""What rules may ask of the walk (``netfilter.context.Services``): lookups, NAT bindings, decisions, notes."""

from __future__ import annotations

from pktdiag.conntrack import bind
from pktdiag.conntrack.status import IPS_SRC_NAT_DONE
from pktdiag.model.host import Socket
from pktdiag.model.kernel import AF_INET, HOOK_NAMES, NFPROTO_BRIDGE, NFPROTO_NETDEV, RT_SCOPE_UNIVERSE
from pktdiag.model.packet import format_address
from pktdiag.model.trace import Clause, RuleRef
from pktdiag.model.view import HostView
from pktdiag.netfilter.context import CtState, FibResult, HookContext, HookResult, NatRange, Unknown
from pktdiag.walk import addresses as addr
from pktdiag.walk import fib, sockets
from pktdiag.walk.state import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def services_of(walk: Walk) -> WalkServices:
    """The one services object of a walk."""
    found = walk.memory.get("services")
    if not isinstance(found, WalkServices):
        found = walk.memory["services"] = WalkServices(walk)
    return found


class WalkServices:
    """Implements ``netfilter.context.Services`` for one replay."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk

    @property
    def host(self) -> HostView:
        return self.walk.host

    @property
    def conns(self) -> dict[object, object]:
        return self.walk.conns

    @property
    def forced_state(self) -> str | None:
        return self.walk.question.state if not self.walk.memory.get("replying") else None

    def decide(self, condition: Unknown, consistent_key: object = None) -> bool:
        return self.walk.decide(condition, consistent_key)

    def hit(self, rule: RuleRef) -> None:
        self.walk.hit(rule)

    def uncertain(self, rule: RuleRef) -> None:
        self.walk.leg.uncertain.append(rule)

    def note(self, ctx: HookContext, text: str, rule: RuleRef | None = None, clauses: tuple[Clause, ...] = (),
             detail: dict[str, Any] | None = None) -> None:
        self.walk.step(ctx.ns, stage_of(ctx), ctx.indev or ctx.outdev, text, rule=rule, clauses=clauses, detail=detail,
                       packet=ctx.skb.packet)

    def assume(self, text: str) -> None:
        self.walk.assume(text)

    def log_line(self, ctx: HookContext, rule: RuleRef, prefix: str, level: int, flags: int, kind: str) -> None:
        detail: dict[str, object] = {"kind": "log" if kind == "ebtables" else kind, "prefix": prefix, "level": level, "flags": flags}
        if kind in ("log", "ebtables"):
            if kind == "log":
                from pktdiag.netfilter.logline import line
            else:
                from pktdiag.netfilter.ebt_logline import line
            detail["line"] = line(ctx, prefix, flags)
            text = f"Kernel log: {detail['line']}"
        else:
            text = f"Logged ({kind}): {prefix}"
        self.walk.step(ctx.ns, stage_of(ctx), ctx.indev or ctx.outdev, text, rule=rule, detail={"log": detail}, packet=ctx.skb.packet)

    def fib_lookup(self, ctx: HookContext, dst: bytes, src: bytes | None, *, oif: int = 0, iif: int = 0, mark: int = 0,
                   tos: int = 0, flags: int = 0) -> FibResult | Unknown:
        """fib_lookup() as nft fib and xt rpfilter make it: no ports; ``oif`` restricts the answer to that device."""
        packet = ctx.skb.packet
        flow = fib.Flow(AF_INET if len(dst) == 4 else 10, dst, src, iif or fib.LOOPBACK_IFINDEX, oif, mark, tos, packet.proto, 0, 0, 0)
        match = fib.lookup(self.walk, ctx.ns, flow)
        if not match.ok:
            return FibResult(match.type if match.route is not None else 7, None, None)
        hop = match.nexthop
        return FibResult(match.type, hop.ifindex if hop else None, hop.gateway if hop else None)

    def address_type(self, ctx: HookContext, address: bytes, ifindex: int = 0) -> int | Unknown:
        return addr.address_type(ctx.ns, address, ifindex)

    def socket_lookup(self, ctx: HookContext) -> Socket | Unknown | None:
        """nf_sk_lookup_slow_v4() / v6: for an ICMP error the socket of the packet it quotes. IPv4 looks for what comes back on a
        connection under the address and port that it began with."""
        packet, conn = ctx.skb.packet, ctx.skb.ct
        begun = conn.orig if conn is not None and len(packet.dst) == 4 and conn.status & IPS_SRC_NAT_DONE and \
            ctx.skb.ct_state == (CtState.RELATED_REPLY if packet.is_icmp else CtState.ESTABLISHED_REPLY) else None
        if packet.is_icmp:
            if packet.inner is None:
                return None
            inner = packet.inner
            packet = inner.turned()
        if not packet.has_ports or ctx.indev is None:
            return None
        if begun is not None:
            packet = packet._replace(dst=begun.src, dport=begun.sport)
        found = sockets.lookup(ctx.ns, packet, ctx.indev)
        asked = self.walk.question
        client = None if asked.header_included else self.walk.memory.get("client")
        return sockets.assumed(client, ctx.ns, packet, found, asked, ctx.indev)

    def tproxy_lookup(self, ctx: HookContext, addr: bytes, port: int) -> Socket | Unknown | None:
        """nf_tproxy_get_sock_v4(): an established socket of the flow first, else a transparent listener at ADDR:PORT."""
        if ctx.indev is None:
            return None
        packet = ctx.skb.packet
        found = sockets.lookup(ctx.ns, packet, ctx.indev)
        if found and found[0].state == 1:
            return found[0]
        aimed = packet._replace(dst=addr if any(addr) else packet.dst, dport=port or packet.dport)
        found = sockets.lookup(ctx.ns, aimed, ctx.indev)
        return found[0] if found else None

    def nat_setup(self, ctx: HookContext, range_: NatRange, source: bool) -> HookResult:
        return bind.setup(ctx, range_, source)

    def reroute(self, ctx: HookContext) -> str | None:
        from pktdiag.walk.ip_output import me_harder

        decision = me_harder(self.walk, ctx.ns, ctx.skb)
        if decision.kind != "error":
            ctx.skb.route = decision  # what a REJECT further on looks at
        return decision.text or decision.error if decision.kind == "error" else None

    def masquerade(self, ctx: HookContext, range_: NatRange) -> HookResult:
        """The address comes from the outgoing device, seen from the next hop (IPv4: rt_nexthop()) or the destination."""
        dst = ctx.skb.packet.dst
        if len(dst) == 4:
            gateway = getattr(ctx.skb.route, "gateway", None)
            next_hop = gateway if gateway and len(gateway) == 4 else dst
            source = addr.select_address(ctx.ns, ctx.outdev, next_hop, RT_SCOPE_UNIVERSE)
        else:
            source = addr.select_address6(ctx.ns, ctx.outdev, dst)
        return bind.masquerade(ctx, range_, source)

    def redirect(self, ctx: HookContext, range_: NatRange) -> HookResult:
        return bind.redirect(ctx, range_)

    def gather(self, ctx: HookContext) -> bool | None:
        """nf_ct_ipv4_gather_frags(), nf_ct_frag6_gather(): one queue per hook, and others for what bridges bring (nf_ct_defrag_user)."""
        if "piece" not in ctx.skb.extra:
            return None
        from pktdiag.walk import gathering

        where = f"{HOOK_NAMES[ctx.hook]}{' of a bridge' if 'nf_bridge' in ctx.skb.extra else ''}"
        return gathering.gathered(self.walk, ctx.ns, ctx.indev or ctx.outdev, ctx.skb, stage_of(ctx), where)

    def duplicate(self, ctx: HookContext, gateway: bytes | None, oif: int | None) -> None:
        """A copy is made now and sent before the packet itself goes on (``copies``)."""
        from pktdiag.walk import copies

        if gateway is not None:
            self.note(ctx, f"A copy of the packet is sent to {format_address(gateway)}.")
            copies.to_gateway(self.walk, ctx, gateway, oif or 0)
            return
        out = ctx.ns.link(oif) if oif else None
        self.note(ctx, f"A copy of the frame is sent out of {out.name if out else f'interface {oif}, which is gone'}.")
        if out is not None:
            copies.out_of(self.walk, ctx.ns, ctx.skb, out)


def stage_of(ctx: HookContext) -> str:
    """The stage name of a hook."""
    name = HOOK_NAMES[ctx.hook] if ctx.hook < len(HOOK_NAMES) else "prerouting"
    if ctx.pf == NFPROTO_BRIDGE:
        return f"bridge-{name}"
    if ctx.pf == NFPROTO_NETDEV:
        return "netfilter-egress" if ctx.hook == 1 else "netfilter-ingress"
    return name
