"""What a host consists of, as the walk needs it: links, addresses, routes, rules, neighbours, sockets, processes.

Every record is one kernel object of one network namespace. ``None`` means "the kernel does not report it here", which
is never the same as zero.
"""

from __future__ import annotations

from pktdiag.model.kernel import IFF_LOOPBACK, IFF_LOWER_UP, IFF_NOARP, IFF_UP
from pktdiag.model.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class LinkRef(NamedTuple):
    """An interface possibly in another namespace: IFLA_LINK / IFLA_MASTER with IFLA_LINK_NETNSID."""

    ifindex: int
    nsid: int | None
    """Namespace id as the *reporting* namespace counts them; None: the same namespace."""


class Link(NamedTuple):
    """One network interface (RTM_NEWLINK)."""

    ifindex: int
    name: str
    kind: str
    """IFLA_INFO_KIND ("veth", "bridge", "macvlan", …); "loopback" or "" (physical) where the kernel gives none."""
    flags: int
    """IFF_* bits."""
    mtu: int
    mac: bytes
    """Link-layer address; empty for devices without one."""
    type: int
    """ARPHRD_*."""
    operstate: int
    master: int | None
    """ifindex of the bridge/bond/VRF this device is a port of."""
    link: LinkRef | None
    """veth: the peer. macvlan/vlan: the lower device. vxlan and tunnels: the underlying device."""
    slave_kind: str
    """IFLA_INFO_SLAVE_KIND: what kind of master holds it ("bridge", "bond", "vrf", …) or ""."""
    data: dict[str, Any]
    """IFLA_INFO_DATA decoded per kind, names as in ``ip -d -j link``: e.g. bridge {"vlan_filtering", "ageing_time",
    "mcast_snooping", "nf_call_iptables", …}, vxlan {"id","local","group","port",…}, macvlan {"mode"}."""
    port: dict[str, Any]
    """IFLA_INFO_SLAVE_DATA decoded: bridge port {"state","hairpin","isolated","learning","unicast_flood",
    "mcast_flood","bcast_flood","guard","proxyarp","neigh_suppress",…}."""
    qdisc: str
    xdp: str | None
    """None: no XDP program; otherwise "xdpgeneric id 12", "xdp id 12" or "xdpoffload id 12"."""
    group: int
    carrier: bool
    alias: str
    txqlen: int

    @property
    def up(self) -> bool:
        """Administratively up (IFF_UP)."""
        return bool(self.flags & IFF_UP)

    @property
    def lower_up(self) -> bool:
        """Carrier present as IFF_LOWER_UP reports it."""
        return bool(self.flags & IFF_LOWER_UP)

    @property
    def loopback(self) -> bool:
        return bool(self.flags & IFF_LOOPBACK)

    @property
    def noarp(self) -> bool:
        return bool(self.flags & IFF_NOARP)


class InterfaceAddress(NamedTuple):
    """One address of one interface (RTM_NEWADDR)."""

    ifindex: int
    local: bytes
    """The address this host answers to (IFA_LOCAL, or IFA_ADDRESS where there is none)."""
    prefixlen: int
    peer: bytes | None
    """IFA_ADDRESS where it differs from IFA_LOCAL (point-to-point)."""
    broadcast: bytes | None
    scope: int
    flags: int
    """IFA_F_*: 0x01 secondary, 0x08 dadfailed, 0x20 deprecated, 0x40 tentative, 0x200 noprefixroute, …"""
    label: str


class NextHop(NamedTuple):
    """One next hop of a route."""

    ifindex: int | None
    gateway: bytes | None
    """None: the destination is on-link."""
    weight: int
    """1 and up (rtnh_hops + 1)."""
    flags: int
    """RTNH_F_*."""
    encap: str | None = None
    """Lightweight tunnel type name ("mpls", "seg6", "ip", …) or None."""
    realm: int = 0
    """``realm`` or ``realms`` of ip-route, the source's in the upper half."""


class Route(NamedTuple):
    """One FIB entry (RTM_NEWROUTE)."""

    table: int
    type: int
    """RTN_*."""
    dst: bytes
    """Network address; zeroes of the family's width for a default route."""
    prefixlen: int
    tos: int
    priority: int
    """Metric; lower wins. IPv4 0 where absent."""
    scope: int
    protocol: int
    prefsrc: bytes | None
    nexthops: tuple[NextHop, ...]
    mtu: int | None
    """RTAX_MTU, bytes; None: the device's."""
    src: bytes | None = None
    srclen: int = 0
    """IPv6 source-specific routing: RTA_SRC."""
    metrics: dict[str, int] | None = None
    nhid: int | None = None
    flags: int = 0
    pref: int = 0
    """IPv6 RTA_PREF (0 medium, 1 high, 3 low)."""
    expires: int | None = None

    @property
    def mtu_locked(self) -> bool:
        """``mtu lock N``: nothing learned changes it, and packets of this host may be cut."""
        return bool(self.metrics and self.metrics.get("lock", 0) & 1 << 2)  # RTAX_MTU


class RouteRule(NamedTuple):
    """One policy rule (RTM_NEWRULE), in the order the kernel consults them: by ``priority``, then as dumped."""

    priority: int
    action: int
    """FR_ACT_*: 1 to_tbl, 2 goto, 3 nop, 6 blackhole, 7 unreachable, 8 prohibit."""
    table: int
    src: bytes | None
    srclen: int
    dst: bytes | None
    dstlen: int
    iif: str | None
    oif: str | None
    fwmark: int
    fwmask: int
    tos: int
    invert: bool
    suppress_prefixlength: int | None
    suppress_ifgroup: int | None
    goto: int | None
    uid_range: tuple[int, int] | None
    ip_proto: int | None
    sport: tuple[int, int] | None
    dport: tuple[int, int] | None
    l3mdev: bool
    tun_id: int = 0
    dscp: int | None = None
    flowlabel: int | None = None
    realm: int = 0
    """As a next hop's; selects nothing, marks what the rule selects."""
    unknown: tuple[str, ...] = ()
    """Selectors the kernel reported and pktdiag does not model (FRA_* names); never treated as "no match"."""


class Neighbour(NamedTuple):
    """One neighbour entry (RTM_NEWNEIGH): ARP or ND cache, or a proxy entry."""

    ifindex: int
    dst: bytes
    lladdr: bytes | None
    state: int
    """NUD_* bits."""
    proxy: bool
    flags: int
    history: tuple[int, int, int, int] | None = None
    """(ticks of 10 ms since it was last confirmed, since a packet last asked for its header, since its state changed; probes
    sent): NDA_CACHEINFO and NDA_PROBES."""


class ArpSide(NamedTuple):
    """What decides whether an ARP request that comes in through one interface can be answered, or led on, by its namespace."""

    alone: bool
    """Beside loopback there is no other interface, so that no bridge, VLAN or macvlan takes the frame over."""
    local: tuple[tuple[bytes, int], ...]
    """(destination, prefix length) of every local route of every table."""
    proxies: bool
    """It forwards, and proxy_arp or proxy_arp_pvlan is on, or there is a proxy entry for the address asked for."""
    sender: Neighbour | None
    """What it knows of who asks."""


class FdbEntry(NamedTuple):
    """One bridge or vxlan forwarding entry (RTM_NEWNEIGH, AF_BRIDGE)."""

    ifindex: int
    """The port (or the vxlan device)."""
    mac: bytes
    vlan: int
    state: int
    """NUD_*: NUD_PERMANENT marks the bridge's own addresses, NUD_NOARP static ones."""
    flags: int
    """NTF_*: 0x02 self, 0x04 master, 0x10 extern_learn, 0x20 offloaded, 0x80 router…"""
    master: int | None
    dst: bytes | None
    """vxlan: the remote VTEP."""
    vni: int | None
    port: int | None


class BridgeVlan(NamedTuple):
    """One VLAN of a bridge port (IFLA_AF_SPEC / IFLA_BRIDGE_VLAN_INFO)."""

    ifindex: int
    vid: int
    pvid: bool
    untagged: bool


class Process(NamedTuple):
    """One process, as far as diagnosing needs it."""

    pid: int
    name: str
    """comm, raw: may hold anything; the renderers make it harmless."""
    cmdline: tuple[str, ...]
    uid: int
    container: str | None
    """Display name of the container or systemd unit it belongs to, or None."""


class Socket(NamedTuple):
    """One socket of a namespace (sock_diag)."""

    family: int
    proto: int
    state: int
    """TCP_* states; TCP_CLOSE (7) for an unconnected UDP socket, TCP_ESTABLISHED (1) for a connected one."""
    local: bytes
    lport: int
    remote: bytes
    rport: int
    """Zero address and port where unconnected."""
    ifindex: int
    """SO_BINDTODEVICE, 0 where none."""
    inode: int
    uid: int
    v6only: bool
    mark: int
    rqueue: int
    wqueue: int
    """For a listener: pending connections and the backlog."""
    transparent: bool = False
    reuseport: bool | None = None
    """None: not known from sock_diag."""
    cgroup_id: int | None = None

    @property
    def full(self) -> bool | None:
        """sk_fullsock(): not a request (TCP_NEW_SYN_RECV, shown as SYN_RECV) nor a socket in TIME_WAIT, neither of which has an owner;
        None where it may be the latter, which sock_diag shows as FIN_WAIT2 (inet_twsk_diag_fill: tw_substate)."""
        if self.proto != 6 or self.inode or self.state not in (3, 5, 6):
            return True
        return None if self.state == 5 else False


class ConntrackTuple(NamedTuple):
    """One direction of a connection. For ICMP ``sport`` is the echo id and ``dport`` is type << 8 | code."""

    src: bytes
    dst: bytes
    proto: int
    sport: int
    dport: int


class ConntrackEntry(NamedTuple):
    """One conntrack entry (ctnetlink IPCTNL_MSG_CT_NEW)."""

    orig: ConntrackTuple
    reply: ConntrackTuple
    status: int
    """IPS_*: 0x1 expected, 0x2 seen_reply, 0x4 assured, 0x8 confirmed, 0x10 src_nat, 0x20 dst_nat, 0x80 src_nat_done,
    0x100 dst_nat_done, 0x200 dying."""
    tcp_state: int | None
    """TCP_CONNTRACK_*; None for other protocols."""
    mark: int
    zone: int
    timeout: int | None
    """Seconds left."""
    helper: str | None
    labels: bytes | None
    id: int = 0
    secmark: str | None = None
    packets_orig: int | None = None
    bytes_orig: int | None = None
    packets_reply: int | None = None
    bytes_reply: int | None = None
    """Only with net.netfilter.nf_conntrack_acct."""
    master: ConntrackTuple | None = None
    tcp_flags_orig: int = 0
    tcp_flags_reply: int = 0
    sctp_tags: tuple[bytes, bytes] | None = None
    """The verification tags that packets of the original and of the reply direction bear, as they bear them."""
    zone_direction: int = 3
    """The directions ``zone`` holds for (NF_CT_ZONE_DIR_*): 1 original, 2 reply; in the other the zone is 0."""
    sctp_state: int | None = None
    """SCTP_CONNTRACK_*; None for other protocols."""


class AccountingObject(NamedTuple):
    """What rules with nfacct count into (``nfacct list``)."""

    packets: int
    bytes: int
    quota: int | None
    """None: it only counts."""
    of_bytes: bool
    """What the quota is of; else of packets."""


class Expectation(NamedTuple):
    """A connection that a helper, or an nft rule, has announced (ctnetlink IPCTNL_MSG_EXP_NEW): the first packet that fits is RELATED."""

    tuple: ConntrackTuple
    mask: ConntrackTuple
    """What of the source must fit; the destination has to be the same altogether."""
    master: ConntrackTuple
    """The original direction of the connection that it came from."""
    zone: int | None = 0
    """Its master's; None: the kernel does not tell (ctnetlink_exp_dump_expect() of Linux 6.18 and before)."""
    helper: str | None = None
    inactive: bool = False


class Gap(NamedTuple):
    """Something that could not be read. Stated wherever it matters; never a silent hole."""

    netns: str
    """``net:[INODE]``, or "" for host-wide things."""
    what: str
    """What could not be read, a noun phrase: "nftables rules (family ip)"."""
    why: str
    """The plain reason: "permission denied", "the namespace vanished while it was read"."""
    remedy: str
    """What would settle it: "run as root"."""
