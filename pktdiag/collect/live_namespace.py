"""One network namespace of the running kernel, as ``model.view.NamespaceView``."""

from __future__ import annotations

from pktdiag.collect.asking import Host
from pktdiag.collect.live_netfilter import NetfilterPart
from pktdiag.collect.live_rtnetlink import RtnetlinkPart
from pktdiag.collect.nsenter import Door
from pktdiag.model.host import Process, Socket
from pktdiag.model.kernel import AF_INET, AF_INET6, IPPROTO_TCP
from pktdiag.model.packet import Packet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class LiveNamespace(RtnetlinkPart, NetfilterPart):
    """Reads lazily and remembers. Made by ``LiveHost`` only."""

    def __init__(self, host: Host, inode: int, path: str, names: tuple[str, ...] | None,
                 pids: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.host, self.inode = host, inode
        self._names, self.pids = names, pids
        self.door = Door(inode, path, host.pool)
        self._id = f"net:[{inode}]"

    @property
    def id(self) -> str:
        return self._id

    @property
    def names(self) -> Sequence[str]:
        if self._names is None:
            self._names = self.host.names_of(self)
        return self._names

    def learn(self, names: tuple[str, ...] | None, pids: tuple[int, ...]) -> None:
        """A later look may know more names and processes."""
        if names is not None and len(names) > len(self._names or ()):
            self._names = names
        if len(pids) > len(self.pids):
            self.pids = pids

    def sockets(self, proto: int, family: int) -> Sequence[Socket]:
        from pktdiag.collect.sockdiag import read_sockets

        return self.ask(("sockets", proto, family), "sockets", lambda: read_sockets(self.door, proto, family))

    def sockets_on(self, proto: int, family: int, lport: int) -> Sequence[Socket]:
        """As :meth:`sockets`, those of one local port only: what a packet needs, at a cost that does not grow with the
        number of connections."""
        if ("sockets", proto, family) in self._known or not lport:
            return [sock for sock in self.sockets(proto, family) if sock.lport == lport]
        from pktdiag.collect.sockdiag import read_sockets

        return self.ask(("sockets", proto, family, lport), "sockets", lambda: read_sockets(self.door, proto, family, lport))

    def sockets_for(self, packet: Packet, ifindex: int) -> Sequence[Socket]:
        if packet.proto != IPPROTO_TCP:
            found = self.sockets_on(packet.proto, packet.family, packet.dport)
            return found if packet.family != AF_INET else [*found, *self.sockets_on(packet.proto, AF_INET6, packet.dport)]
        from pktdiag.collect.sockdiag import read_tcp

        near, far = (packet.dst, packet.dport), (packet.src, packet.sport)
        return self.ask(("tcp sockets", near, far, ifindex), "sockets", lambda: read_tcp(self.door, near, far, ifindex))

    def socket_processes(self, sock: Socket) -> Sequence[Process]:
        if not sock.inode:  # a kernel socket, TIME_WAIT, or a connection not accepted yet
            return ()
        return self.ask(("owners", sock.inode), "processes holding a socket", lambda: self.host.owners(self, sock.inode))

    def __repr__(self) -> str:
        return f"<LiveNamespace {self._id}>"
