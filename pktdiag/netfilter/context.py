"""What a rule sees when it is evaluated, and what it may do.

The walk makes one :class:`Skb` per copy of the packet and lets it change on its way, as the kernel does with sk_buff.
A walk is repeated from the start for every combination of unknowable conditions (``walk.explore``), so nothing here
has to be undone.
"""

from __future__ import annotations

from pktdiag.model.host import ConntrackEntry, ConntrackTuple, Link, Socket
from pktdiag.model.kernel import IPPROTO_NONE
from pktdiag.model.packet import Arp, Packet
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import Clause, RuleRef
from pktdiag.model.view import HostView, NamespaceView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol
else:
    Protocol = object


class Unknown(NamedTuple):
    """A value or a match that cannot be known by reading. Falsy on purpose nowhere: test with isinstance.

    ``condition`` completes "it depends on whether …": "rule 7's random draw (statistic) comes out true".
    """

    condition: str

    def __bool__(self) -> bool:
        raise TypeError("an Unknown must be decided with ctx.decide(), not used as a truth value")


Tri = bool | Unknown


class CtState:
    """enum ip_conntrack_info, plus untracked/invalid. include/uapi/linux/netfilter/nf_conntrack_common.h"""

    ESTABLISHED, RELATED, NEW, ESTABLISHED_REPLY, RELATED_REPLY = 0, 1, 2, 3, 4
    INVALID, UNTRACKED = 7, 8


class CtTemplate(NamedTuple):
    """What a CT target or ``ct zone set`` leaves in ``skb.extra["ct_template"]`` for the tracker (a struct nf_conn with
    IPS_TEMPLATE), before conntrack ran."""

    zone: int = 0
    direction: int = 3
    """Bits of the directions the zone holds for: 1 original, 2 reply (NF_CT_ZONE_DIR_*)."""
    helper: str | None = None
    timeout: str | None = None
    by_mark: bool = False
    """The zone is the mark that the packet has when conntrack sees it (NF_CT_FLAG_MARK, nf_ct_zone_tmpl())."""

    def zone_of(self, reply: bool) -> int:
        """nf_ct_zone_id(): the default zone in a direction the zone is not for."""
        return self.zone if self.direction & (2 if reply else 1) else 0


class Conn:
    """A connection as the walk holds it: read from the kernel (``entry``) or made by this walk (virtual).

    ``reply`` is what answers look like, so NAT is the difference between ``orig`` and ``reply`` mirrored, exactly as
    nf_conntrack_tuple_hash pairs do it.
    """

    __slots__ = (
        "confirmed",
        "entry",
        "extra",
        "helper",
        "labels",
        "mark",
        "master",
        "netns",
        "orig",
        "reply",
        "status",
        "tcp_state",
        "zone",
    )

    def __init__(self, orig: ConntrackTuple, reply: ConntrackTuple, netns: str, entry: ConntrackEntry | None = None) -> None:
        self.orig, self.reply, self.netns, self.entry = orig, reply, netns, entry
        self.confirmed = entry is not None
        self.mark = entry.mark if entry else 0
        self.zone = entry.zone if entry else 0
        self.status = entry.status if entry else 0
        self.tcp_state = entry.tcp_state if entry else None
        self.helper: str | None = entry.helper if entry else None
        self.labels: bytes | None = entry.labels if entry else None
        self.master: Conn | None = None
        self.extra: dict[str, object] = {}
        """What only ``conntrack`` cares about: TCP tracker memory, the device a masquerade was made for, …"""


IPS_CONFIRMED, IPS_TEMPLATE = 0x8, 0x800


def attached(skb: Skb) -> tuple[Conn | None, int | None]:
    """nf_ct_get(): the connection and its state. Between a CT target (or ``ct zone set``) and conntrack that is the template, which
    is "new", bears no mark and has no addresses (nf_conntrack_core.c: nf_ct_tmpl_alloc; xt_CT.c: xt_ct_tg)."""
    template = skb.extra.get("ct_template")
    if skb.ct is None and isinstance(template, CtTemplate):
        nothing = ConntrackTuple(b"", b"", 0, 0, 0)
        stand_in = Conn(nothing, nothing, "")
        stand_in.zone, stand_in.status, stand_in.confirmed = template.zone, IPS_CONFIRMED | IPS_TEMPLATE, True
        return stand_in, CtState.NEW
    return skb.ct, skb.ct_state


def reply_mark(ns: NamespaceView, skb: Skb) -> int:
    """IP4_REPLY_MARK / IP6_REPLY_MARK: the mark of what the host itself answers."""
    return skb.mark if ns.sysctl(f"net/{'ipv4' if len(skb.packet.dst) == 4 else 'ipv6'}/fwmark_reflect") == "1" else 0


def countable(skb: Skb) -> bool:
    """Whether the packet belongs to a connection, or could (nf_ct_get_tuplepr): what counts connections drops the others, which are
    later fragments and IPv6 packets without a transport header."""
    packet = skb.packet
    if not packet.fragment_offset and (packet.proto != IPPROTO_NONE or len(packet.dst) == 4):
        return True
    return attached(skb)[0] is not None


def seen_by_conntrack(skb: Skb) -> bool:
    """``skb->_nfct != 0``: on a connection, with a template, untracked, or answering what was (conntrack/track.py: attach). What
    was found invalid has nothing attached: on the loopback device it comes to PRE_ROUTING as if it had never been looked at
    (nf_conntrack_core.c: nf_conntrack_in)."""
    ct, state = attached(skb)
    return ct is not None or state in (CtState.RELATED, CtState.UNTRACKED)


class Skb:
    """One copy of the packet on its way (struct sk_buff, the fields that decide something)."""

    __slots__ = (
        "arp",
        "ct",
        "ct_state",
        "dst_mac",
        "ethertype",
        "extra",
        "frag_max_size",
        "iif",
        "ip_checksum_ok",
        "local_df",
        "mark",
        "nf_trace",
        "packet",
        "physin",
        "physout",
        "pkt_type",
        "priority",
        "queue",
        "route",
        "secmark",
        "sock",
        "sock_ns",
        "src_mac",
        "tc_index",
        "tproxy_sock",
        "vlan_proto",
        "vlan_tci",
    )

    def __init__(self, packet: Packet, mark: int = 0) -> None:
        self.packet = packet
        self.mark = mark
        self.priority = 0
        self.pkt_type = 0
        self.src_mac = b""
        self.dst_mac = b""
        self.ethertype = 0x0800 if len(packet.dst) == 4 else 0x86DD
        self.vlan_tci: int | None = None
        self.vlan_proto = 0x8100
        self.ct: Conn | None = None
        """None with ct_state None: conntrack has not seen it."""
        self.ct_state: int | None = None
        self.sock: Socket | None = None
        """The sending socket for a locally generated packet, or the early-demuxed / tproxied receiver."""
        self.sock_ns = ""
        self.physin: int | None = None
        self.physout: int | None = None
        """br_netfilter: bridge ports (ifindex) while a bridged frame visits the IP hooks."""
        self.secmark: str | None = None
        self.tproxy_sock: Socket | None = None
        self.nf_trace = False
        self.ip_checksum_ok = True
        self.route: object | None = None
        """walk.route.RouteResult once routed."""
        self.tc_index = 0
        self.local_df = False
        self.frag_max_size = 0
        """Of a datagram that was put together only to be looked at (nf_defrag): length of the largest fragment it came in."""
        self.arp: Arp | None = None
        self.iif = 0
        """skb_iif: ifindex it came in on, 0 for local output."""
        self.queue = 0
        self.extra: dict[str, object] = {}
        """"ct_template": the :class:`CtTemplate` left by a CT target or ``ct zone set`` before conntrack ran."""

    def copy(self) -> Skb:
        """skb_clone / skb_copy: the connection stays shared."""
        other = Skb.__new__(Skb)
        for name in Skb.__slots__:
            setattr(other, name, getattr(self, name))
        other.extra = dict(self.extra)
        return other

    def clone(self) -> Skb:
        """skb_clone(): a copy with the same bytes, as long as nobody asks for bytes of their own to write (skb_ensure_writable)."""
        clones = self.extra.setdefault("clones", [self])
        other = self.copy()
        clones.append(other)  # type: ignore[attr-defined]
        return other

    def overwrite(self, packet: Packet) -> None:
        """Written in place, without skb_ensure_writable(): all clones that have not been written to since are written to as well."""
        old, self.packet = self.packet, packet
        for other in self.extra.get("clones", ()):  # type: ignore[attr-defined]
            if other.packet is old:
                other.packet = packet


class HookResult(NamedTuple):
    """What a hook (or one entry of it) decided."""

    action: str
    """"accept", "drop", "stolen", "queue", "repeat"; "unknown": what becomes of the packet cannot be told from here on, ``text`` says
    on what it depends."""
    reason: str = ""
    """Drop reason name; "NETFILTER_DROP" unless something more precise is known."""
    rule: RuleRef | None = None
    text: str = ""
    answer: str | None = None
    """reject: "icmp port-unreachable", "icmp admin-prohibited", "tcp reset", … as ``iptables --reject-with`` names it
    without the prefix (icmp-port-unreachable -> "icmp port-unreachable", icmp6 likewise with "icmpv6 ")."""
    cause: str = ""
    queues: tuple[int, int, bool] | None = None
    """For "queue": the first queue's number, how many there are, and whether the packet goes on where nobody listens."""


ACCEPT = HookResult("accept")
OWNER_ASSUMED = "the sender runs as root, user and group 0 (--uid, --gid say otherwise)"
"""What rules that look at the owner of the sending socket go by, where the question does not say."""
SUMMED = "summed up"
"""Key of ``Skb.extra``: where conntrack adds up the packet's checksum (if it looks at any), and its class and hop limit then."""
HANDSHAKE = "whether the sender completes the handshake: SYNPROXY answers the SYN in the server's place, and opens the connection only then"
COOKIE = "whether this ACK carries a cookie that SYNPROXY has handed out: only then does it open the connection to the server"
"""What it depends on, with SYNPROXY (nf_synproxy_core.c)."""


class FibResult(NamedTuple):
    """A route lookup as a rule sees it."""

    type: int
    """RTN_*"""
    oif: int | None
    gateway: bytes | None


class NatRange(NamedTuple):
    """struct nf_nat_range2 (include/uapi/linux/netfilter/nf_nat.h)."""

    flags: int
    """NF_NAT_RANGE_*: 1 map_ips, 2 proto_specified, 4 proto_random, 8 persistent, 0x10 proto_random_fully,
    0x20 proto_offset, 0x40 netmap."""
    min_addr: bytes | None
    max_addr: bytes | None
    min_proto: int
    max_proto: int
    """Ports, host order; 0 where not given."""
    base_proto: int = 0


class Services(Protocol):
    """What rules may ask of the rest of the walk (implemented by ``walk.services``)."""

    @property
    def host(self) -> HostView: ...

    @property
    def conns(self) -> dict[object, object]:
        """Connections and other per-replay memory of ``conntrack`` and ``netfilter.hooks`` (``Walk.conns``)."""

    @property
    def forced_state(self) -> str | None:
        """--state: what conntrack is to say of the request in every namespace; None: as read. None for the reply leg."""

    def decide(self, condition: Unknown, consistent_key: object = None) -> bool:
        """Splits the walk: True in one replay, False in the other. The same ``consistent_key`` gets the same answer
        within one replay; None makes every call its own question."""

    def hit(self, rule: RuleRef) -> None:
        """The rule's counter moved."""

    def uncertain(self, rule: RuleRef) -> None:
        """The rule's counter may move or not, and nothing else depends on it."""

    def note(self, ctx: HookContext, text: str, rule: RuleRef | None = None, clauses: tuple[Clause, ...] = (),
             detail: dict[str, Any] | None = None) -> None:
        """Adds a step to the trace at this hook."""

    def assume(self, text: str) -> None:
        """What the question leaves open was chosen, and a rule asked for it."""

    def log_line(self, ctx: HookContext, rule: RuleRef, prefix: str, level: int, flags: int, kind: str) -> None:
        """The packet is logged here; kind "log" | "ebtables" | "nflog" | "audit" | "trace"."""

    def fib_lookup(self, ctx: HookContext, dst: bytes, src: bytes | None, *, oif: int = 0, iif: int = 0, mark: int = 0,
                   tos: int = 0, flags: int = 0) -> FibResult | Unknown:
        """fib_lookup() in ctx.ns."""

    def address_type(self, ctx: HookContext, address: bytes, ifindex: int = 0) -> int | Unknown:
        """inet_addr_type_dev_table / ipv6 nf address type: RTN_* of an address (restricted to a device when given)."""

    def socket_lookup(self, ctx: HookContext) -> Socket | Unknown | None:
        """nf_sk_lookup_slow_v4/v6: the socket that would receive this packet (established or listening)."""

    def tproxy_lookup(self, ctx: HookContext, addr: bytes, port: int) -> Socket | Unknown | None: ...

    def nat_setup(self, ctx: HookContext, range_: NatRange, source: bool) -> HookResult:
        """nf_nat_setup_info(): binds the connection. Accept when bound (or already bound)."""

    def reroute(self, ctx: HookContext) -> str | None:
        """ip_route_me_harder() at LOCAL_OUT after the packet changed: None when there is a way, else why there is none."""

    def masquerade(self, ctx: HookContext, range_: NatRange) -> HookResult: ...

    def redirect(self, ctx: HookContext, range_: NatRange) -> HookResult: ...

    def gather(self, ctx: HookContext) -> bool | None:
        """Of a fragment that the walk itself has cut: True: with it all are here, and ``ctx.skb`` is the datagram; False: it waits, or
        ended. None: it is none of those."""

    def duplicate(self, ctx: HookContext, gateway: bytes | None, oif: int | None) -> None:
        """dup / TEE: a copy goes its own way."""


class HookContext(NamedTuple):
    """One packet at one hook of one namespace (struct nf_hook_state)."""

    services: Services
    ns: NamespaceView
    pf: int
    """NFPROTO_* of the hook being run."""
    hook: int
    skb: Skb
    indev: Link | None
    outdev: Link | None
