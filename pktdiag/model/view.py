"""The view of a host: everything the walk may ask, and nothing about where the answers come from.

``collect.live`` answers from the running kernel, lazily (one netlink request or file per question, remembered for the
life of the view); a snapshot or a what-if overlay answers the same questions from a file or on top of another view.

An answer that could not be read raises :class:`Unreadable`. That is different from "empty": the walk turns it into a
condition, never into "no match". A namespace that vanished raises Unreadable too.
"""

from __future__ import annotations

from pktdiag.model.host import (
    AccountingObject,
    ArpSide,
    BridgeVlan,
    ConntrackEntry,
    ConntrackTuple,
    Expectation,
    FdbEntry,
    Gap,
    InterfaceAddress,
    Link,
    Neighbour,
    Process,
    Route,
    RouteRule,
    Socket,
)
from pktdiag.model.packet import Packet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Protocol
else:
    Protocol = object  # start-up: see model.record


class Unreadable(Exception):
    """Something exists, or may exist, that could not be read."""

    def __init__(self, gap: Gap) -> None:
        super().__init__(f"{gap.what}: {gap.why}")
        self.gap = gap


class NamespaceView(Protocol):
    """One network namespace."""

    @property
    def id(self) -> str:
        """``net:[INODE]``, as readlink /proc/PID/ns/net."""

    @property
    def names(self) -> Sequence[str]:
        """What people call it: container names, /run/netns names, "host". May be empty. Untrusted text."""

    # -- rtnetlink -------------------------------------------------------------------------------------------------
    def links(self) -> Mapping[int, Link]:
        """Every interface by ifindex, in ifindex order."""

    def link(self, ifindex: int) -> Link | None:
        """One interface; asks the kernel for just that one when the others were not needed yet."""

    def link_named(self, name: str) -> Link | None: ...

    def ports(self, master: int) -> Sequence[Link]:
        """The interfaces whose master it is, in ifindex order; as the two below without reading the others."""

    def links_of(self, kinds: tuple[str, ...]) -> Sequence[Link]:
        """The interfaces of certain kinds, in ifindex order."""

    def peer_namespace(self, nsid: int) -> NamespaceView | None:
        """The namespace this one knows as ``nsid`` (RTM_GETNSID); None when no visible namespace has it."""

    def peer_namespaces(self, nsids: Sequence[int]) -> Mapping[int, NamespaceView]:
        """As ``peer_namespace`` for many ids, looked for in one go; those not found are left out."""

    def arp_side(self, ifindex: int, target: bytes, sender: bytes) -> ArpSide | None:
        """How the namespace stands to an ARP request on an interface, at the cost of one visit; None: it takes a closer look."""

    def addresses(self, family: int) -> Sequence[InterfaceAddress]:
        """All addresses of AF_INET or AF_INET6, in the kernel's order."""

    def route_rules(self, family: int) -> Sequence[RouteRule]:
        """Policy rules in the order they are consulted (the kernel's own local rule included)."""

    def routes(self, family: int, table: int) -> Sequence[Route]:
        """The routes of one table, in dump order."""

    def learned_route(self, packet: Packet, oif: int, mark: int, own: bool) -> Route | None:
        """The way of a packet through an interface, with the path MTU and the redirect that were learned for its destination (``mtu``,
        the next hop's gateway): one RTM_GETROUTE, no dump. ``own``: the packet is this namespace's. None: the kernel knows no such way."""

    def neighbours(self, family: int, ifindex: int) -> Sequence[Neighbour]:
        """Neighbour entries of one interface, proxy entries included."""

    def neighbour(self, family: int, ifindex: int, address: bytes, proxy: bool) -> Neighbour | None:
        """The cache entry, or with ``proxy`` the proxy entry, of one address on one interface."""

    def fdb_entry(self, bridge: int, mac: bytes, vlan: int) -> FdbEntry | None:
        """The forwarding entry of one address in one VLAN (0: none) of a bridge."""

    def fdb(self, bridge: int) -> Sequence[FdbEntry]:
        """Forwarding entries of one bridge (ifindex), or of a vxlan device when given one."""

    def bridge_port_order(self, bridge: int) -> Sequence[int]:
        """ifindex of the bridge's ports in the order in which it floods (the newest first), as far as that can be told."""

    def bridge_vlans(self, bridge: int) -> Sequence[BridgeVlan]:
        """VLAN membership of the bridge and its ports; empty when there is none."""

    def mdb(self, bridge: int) -> Sequence[FdbEntry]:
        """Multicast group entries of a bridge: mac empty, ``dst`` the group address."""

    def multicast_macs(self, ifindex: int) -> frozenset[bytes]:
        """The group addresses an interface listens to on its link, as in /proc/net/dev_mcast."""

    # -- /proc -----------------------------------------------------------------------------------------------------
    def sysctl(self, path: str) -> str | None:
        """Content of /proc/sys/PATH in this namespace, stripped; path like "net/ipv4/ip_forward". None: no such file."""

    def snmp(self) -> Mapping[str, int]:
        """/proc/net/snmp, snmp6 and netstat of the namespace under nstat's names, zeroes included."""

    # -- sockets ---------------------------------------------------------------------------------------------------
    def sockets(self, proto: int, family: int) -> Sequence[Socket]:
        """TCP listeners and TCP/UDP/UDPLITE/RAW sockets of one family (for TCP: LISTEN and the rest both)."""

    def sockets_for(self, packet: Packet, ifindex: int) -> Sequence[Socket]:
        """Of these (and, for IPv4, of the IPv6 ones) those among which the kernel chooses for a TCP, UDP or UDPLITE packet from an
        interface: the ones of its port; of connections the one with both its ends."""

    def socket_processes(self, sock: Socket) -> Sequence[Process]:
        """Processes holding the socket; empty when none could be found (kernel socket, or no permission)."""

    # -- netfilter, as the kernel holds it ----------------------------------------------------------------------------
    def nft_generation(self) -> int | None:
        """Ruleset generation id (NFT_MSG_GETGEN); None when nf_tables is not there."""

    def nft_tables(self) -> Sequence[bytes]:
        """NFT_MSG_NEWTABLE payloads of every family: nfgenmsg (4 bytes) followed by attributes. Likewise below."""

    def nft_chains(self, family: int) -> Sequence[bytes]:
        """NFT_MSG_NEWCHAIN payloads of one family."""

    def nft_rules(self, family: int, table: str, chain: str) -> Sequence[bytes]:
        """NFT_MSG_NEWRULE payloads of one chain, in order."""

    def nft_set(self, family: int, table: str, name: str) -> bytes | None:
        """NFT_MSG_NEWSET payload; None: no such set. Also resolves anonymous sets (``__set0``)."""

    def nft_set_elements(self, family: int, table: str, name: str) -> Sequence[bytes]:
        """NFT_MSG_NEWSETELEM payloads (each may list many elements)."""

    def nft_set_get(self, family: int, table: str, name: str, key: bytes, key_end: bytes | None) -> Sequence[bytes] | None:
        """NFT_MSG_GETSETELEM for one key: payloads holding the element or interval around it; None: not in the set."""

    def nft_objects(self, family: int, table: str) -> Sequence[bytes]:
        """NFT_MSG_NEWOBJ payloads of one table."""

    def nft_flowtables(self, family: int) -> Sequence[bytes]:
        """NFT_MSG_NEWFLOWTABLE payloads."""

    def xt_tables(self, family: int) -> Sequence[str]:
        """Legacy tables in use: names in /proc/net/ip_tables_names (AF_INET), ip6_tables_names, arp; ebtables for
        NFPROTO_BRIDGE is probed. Reading never makes the kernel register a table."""

    def xt_table(self, family: int, table: str) -> tuple[bytes, bytes]:
        """(IPT_SO_GET_INFO reply, IPT_SO_GET_ENTRIES reply) of a legacy table (EBT_SO_* for bridge), counters included."""

    def ipset_header(self, name_or_index: str | int) -> bytes | None:
        """IPSET_CMD_HEADER/LIST reply without members for one set (by index: as xt set matches hold it)."""

    def ipset_test(self, name: str, request: bytes) -> bool:
        """IPSET_CMD_TEST with the given IPSET_ATTR_DATA content: is this one element in the set?"""

    def ipset_members(self, name: str) -> Sequence[bytes]:
        """IPSET_CMD_LIST payloads with members."""

    def nf_hooks(self, family: int, hook: int, device: str | None) -> Sequence[tuple[int, str, str]] | None:
        """(priority, function, module) of every function registered (nfnetlink_hook); None where the kernel cannot say."""

    def conntrack_get(self, tuple_: ConntrackTuple, reply: bool, zone: int) -> ConntrackEntry | None:
        """The entry whose original (or reply) direction is ``tuple_``: one IPCTNL_MSG_CT_GET, no dump."""

    def expectations(self) -> Sequence[Expectation]:
        """The connections that are expected; none where conntrack has no entries, since each belongs to one."""

    def queue_numbers(self) -> frozenset[int]:
        """The NFQUEUE queues a program is bound to: /proc/net/netfilter/nfnetlink_queue (nfnetlink_queue.c: seq_show)."""

    def accounting_object(self, name: str) -> AccountingObject | None:
        """One of nfnetlink_acct's by name; None: there is none."""

    def xfrm_policies(self) -> tuple[tuple[bytes, ...], bytes]:
        """(XFRM_MSG_NEWPOLICY payloads, newest first; struct xfrm_userpolicy_default: a byte for in, fwd, out). Both are empty where
        there are none, and where nobody may ask (CAP_NET_ADMIN)."""

    def conntrack_count(self) -> tuple[int, int] | None:
        """(nf_conntrack_count, nf_conntrack_max); None where conntrack is not there."""

    def tc(self, ifindex: int, side: str) -> Sequence[str]:
        """What tc runs at the "ingress" or "egress" of a device, a text per filter: "bpf pref 1 handle 0x1 …"."""

    def bpf_attached(self, ifindex: int) -> Sequence[str]:
        """Other attachments that may take the packet there: tcx programs, netkit; a phrase each."""


class HostView(Protocol):
    """The whole host."""

    def current_namespace(self) -> NamespaceView:
        """The namespace meant by ``host``."""

    def namespace(self, inode: int) -> NamespaceView:
        """By inode number. Unreadable when it is not (or no longer) there."""

    def namespaces(self) -> Iterable[NamespaceView]:
        """Every namespace that can be found. Reads the whole of /proc: topology's business, and the last resort of a walk."""

    def container_of(self, netns: str) -> str | None:
        """Display name of the container(s) living in a namespace, or None."""

    def processes_in(self, netns: str) -> Sequence[Process]: ...

    def kernel_has(self, module: str) -> bool:
        """Whether a module (underscores) is loaded, or known to be built in."""

    def kernel_function(self, module: str, function: str) -> bool | None:
        """Whether a part of the kernel has a function of that name, for telling versions apart; None where nothing says."""

    def kernel_member(self, module: str, structure: str, member: str) -> bool | None:
        """Whether a part of the kernel has that member in a structure, for the same; None where nothing says."""

    def module_users(self, module: str) -> int | None:
        """How many hold a loadable module, 0 where it is not loaded; None where it is built in, or nothing says."""

    def gaps(self) -> Sequence[Gap]:
        """What could not be read so far."""

    def now(self) -> float:
        """Seconds since the epoch: for rules that look at the clock."""
