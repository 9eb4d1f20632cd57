"""The running host, as ``model.view.HostView``."""

from __future__ import annotations

import os

from pktdiag.collect.census import Census
from pktdiag.collect.live_namespace import LiveNamespace
from pktdiag.collect.nsenter import OWN_NAMESPACE, Door, FdPool
from pktdiag.model.host import Gap, Process
from pktdiag.model.view import Unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pktdiag.collect.early import EarlyTables
    from pktdiag.collect.netlink import Netlink


class LiveHost:
    """Lazy, and remembering for as long as it lives; :meth:`refresh` forgets. Not to be shared between threads."""

    def __init__(self) -> None:
        self.pool = FdPool()
        self.census = Census()
        self.assume_empty = False
        """Somebody who knows says that what only root may ask for (BPF programs on devices, ebtables) is not there."""
        self._namespaces: dict[int, LiveNamespace] = {}
        self._nsids: dict[tuple[int, int], int] = {}
        self._candidates: dict[int, str] = {}
        self._searched = 0
        self._gaps: list[Gap] = []
        self._own = os.stat(OWN_NAMESPACE).st_ino
        self._processes: dict[str, Sequence[Process]] = {}
        self._all_pids: dict[str, tuple[int, ...]] = {}
        self._early: EarlyTables | None = None

    # -- namespaces --------------------------------------------------------------------------------------------------
    def current_namespace(self) -> LiveNamespace:
        return self._known(self._own, OWN_NAMESPACE, ("host",))

    def namespace(self, inode: int) -> LiveNamespace:
        known = self._namespaces.get(inode)
        if known is not None:
            return known
        if inode == self._own:
            return self.current_namespace()
        from pktdiag.collect.namespaces import open_namespace

        handle = open_namespace(inode, self.census)
        if handle is None:
            gap = Gap(f"net:[{inode}]", "the namespace", "there is none of that number (any more), or it is out of sight",
                      "run as root, or name it anew")
            raise Unreadable(gap)
        return self._known(inode, handle.path, handle.names, handle.pids)

    def namespaces(self) -> Iterable[LiveNamespace]:
        from pktdiag.collect.namespaces import scan

        found = scan()
        self._all_pids = {f"net:[{handle.inode}]": handle.pids for handle in found.handles}
        for gap in found.gaps:
            self.note_gap(gap)
        return [self._known(handle.inode, handle.path, handle.names, handle.pids) for handle in found.handles]

    def adopt(self, inode: int, path: str, names: tuple[str, ...], pids: tuple[int, ...]) -> LiveNamespace:
        """A namespace found by other means than its number (a container's name), so that it need not be searched again."""
        return self._known(inode, path, names, pids)

    def _known(self, inode: int, path: str, names: tuple[str, ...] | None, pids: tuple[int, ...] = ()) -> LiveNamespace:
        known = self._namespaces.get(inode)
        if known is None:
            known = self._namespaces[inode] = LiveNamespace(self, inode, path, names, pids)
        else:
            known.learn(names, pids)
        return known

    def names_of(self, namespace: LiveNamespace) -> tuple[str, ...]:
        """Names of a namespace met by its id only, looked up when somebody wants to print them."""
        from pktdiag.collect.namespaces import of_shelf, open_namespace

        handle = of_shelf(namespace.inode, namespace.door.path, self.census) or open_namespace(namespace.inode, self.census)
        return handle.names if handle is not None else ()

    def resolve_nsid(self, asking: Door, nsid: int) -> LiveNamespace | None:
        """The namespace ``asking`` knows as ``nsid``; None when no visible one is. The search stops at its goal, and
        what it learnt on the way is kept. Raises OSError."""
        key = (asking.inode, nsid)
        if key not in self._nsids:
            for batch in self._batches(asking.route(), nsid):
                for found, inode, path in batch:
                    self._nsids[asking.inode, found] = inode
                    self._candidates.setdefault(inode, path)
                if key in self._nsids:
                    break
            else:
                return None
        inode = self._nsids[key]
        known = self._namespaces.get(inode)
        return known if known is not None else self._known(inode, self._candidates[inode], None)

    def resolve_nsids(self, asking: Door, nsids: Iterable[int]) -> dict[int, LiveNamespace]:
        """As :meth:`resolve_nsid` for many, each candidate asked about once. Raises OSError."""
        from pktdiag.collect.rtnl_nsid import ids_of

        wanted = {nsid for nsid in nsids if (asking.inode, nsid) not in self._nsids}
        if len(wanted) > 1:
            for where in (lambda: self.census.shelves()[1], self.census.mounted):
                for batch in ids_of(asking.route(), where() if wanted else ()):
                    for found, inode, path in batch:
                        self._nsids[asking.inode, found] = inode
                        self._candidates.setdefault(inode, path)
                        wanted.discard(found)
                    if not wanted:
                        break
        found_all = {nsid: self.resolve_nsid(asking, nsid) for nsid in nsids}
        return {nsid: namespace for nsid, namespace in found_all.items() if namespace is not None}

    def _batches(self, netlink: Netlink, nsid: int) -> Iterator[list[tuple[int, int, str]]]:
        """Answers from where a namespace may be, the cheapest places first: those in use, our mount table (where every engine
        keeps its namespaces), the processes, everywhere. The last two are searched once per view."""
        from pktdiag.collect import namespaces
        from pktdiag.collect.rtnl_nsid import ids_of, towards

        yield from ids_of(netlink, [(inode, namespace.door.path) for inode, namespace in self._namespaces.items()])
        for shelf in self.census.shelves():
            yield from towards(netlink, nsid, shelf, everybody=False)
        yield from towards(netlink, nsid, self.census.mounted())
        yield from ids_of(netlink, list(self._candidates.items()))
        if self._searched < 1:
            yield from ids_of(netlink, self._new(namespaces.candidates()))
            self._searched = 1
        if self._searched < 2:
            yield from ids_of(netlink, self._new((handle.inode, handle.path) for handle in namespaces.find_namespaces()))
            self._searched = 2

    def _new(self, found: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        for inode, path in found:
            if inode not in self._candidates:
                self._candidates[inode] = path
                yield inode, path

    def read_early(self, family: int) -> None:
        """Starts reading the legacy tables of our own namespace, for whoever asks for them later."""
        from pktdiag.collect.early import EarlyTables

        self._early = EarlyTables(family)

    def early_table(self, asking: Door, family: int, table: str) -> tuple[bytes, bytes] | None:
        """A table :meth:`read_early` has read or is reading, once."""
        return self._early.take(family, table) if self._early is not None and asking.inode == self._own else None

    # -- processes -----------------------------------------------------------------------------------------------------
    def container_of(self, netns: str) -> str | None:
        from pktdiag.collect import containers

        inode = int(netns[5:-1])
        if inode == self._own:
            return None
        namespace = self._namespaces.get(inode)
        pids = namespace.pids if namespace is not None and namespace.pids else self.census.pids(inode)
        return containers.of_namespace(pids)

    def processes_in(self, netns: str) -> Sequence[Process]:
        known = self._processes.get(netns)
        if known is None:
            from pktdiag.collect.processes import in_namespace

            # After a full scan each namespace's pids are known: not all of /proc once more for every namespace.
            known = self._processes[netns] = in_namespace(int(netns[5:-1]), self._all_pids.get(netns) or self.census.pids(int(netns[5:-1])))
        return known

    def owners(self, namespace: LiveNamespace, inode: int) -> tuple[Process, ...]:
        """Processes holding a socket: looked for in its own namespace first, then everywhere."""
        from pktdiag.collect.processes import socket_owners

        found = socket_owners({inode}, self.census.pids(namespace.inode))
        if not found:
            found = socket_owners({inode})
        return tuple(found.get(inode, ()))

    # -- the rest ------------------------------------------------------------------------------------------------------
    def gaps(self) -> Sequence[Gap]:
        return tuple(self._gaps)

    def note_gap(self, gap: Gap) -> None:
        if gap not in self._gaps:
            self._gaps.append(gap)

    def kernel_has(self, module: str) -> bool:
        from pktdiag.collect.modules import present

        return present(module)

    def kernel_function(self, module: str, function: str) -> bool | None:
        from pktdiag.collect.modules import has_function

        return has_function(module, function)

    def kernel_member(self, module: str, structure: str, member: str) -> bool | None:
        from pktdiag.collect.kernel_types import has_member

        return has_member(module, structure, member)

    def module_users(self, module: str) -> int | None:
        from pktdiag.collect.modules import users

        return users(module)

    def now(self) -> float:
        import time

        return time.time()

    def refresh(self) -> None:
        """Forgets every answer and closes every descriptor. Namespaces handed out before may still be asked: they read
        anew, or raise Unreadable when they are gone."""
        for namespace in self._namespaces.values():
            namespace.forget()
        self.pool.close()
        self.census.forget()
        self._nsids.clear()
        self._candidates.clear()
        self._searched = 0
        self._gaps.clear()
        self._processes.clear()
        self._all_pids.clear()
        self._early = None
        from pktdiag.collect import containers, modules, rtnl_link

        containers.forget()
        modules.forget()
        rtnl_link.forget()

    def close(self) -> None:
        self.refresh()
        self._namespaces.clear()

    def __enter__(self) -> LiveHost:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
