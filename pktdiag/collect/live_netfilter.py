"""The netfilter half of a live namespace: raw payloads, undecoded."""

from __future__ import annotations

from pktdiag.collect import nft_raw
from pktdiag.collect.asking import Asking
from pktdiag.collect.modules import kernel_has
from pktdiag.collect.netlink import Netlink
from pktdiag.model.host import AccountingObject, ConntrackEntry, ConntrackTuple, Expectation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    T = TypeVar("T")

_FAMILY = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_GENERATION, _TABLES, _XFRM = ("nft",), ("nft", "tables"), ("xfrm",)
_XT_TOOL = {2: "iptables", 10: "ip6tables", 3: "arptables", 7: "ebtables"}


class NetfilterPart(Asking):
    """See ``model.view.NamespaceView`` for what each method answers."""

    def _nft(self, key: tuple[object, ...], what: str, read: Callable[[Netlink], T], absent: T) -> T:
        if not kernel_has("nf_tables"):
            return absent
        return self.ask(key, what, lambda: read(self.door.netfilter()))

    # These two are asked for at every hook, whether the ruleset is still the same.
    def nft_generation(self) -> int | None:
        known = self._known.get(_GENERATION)
        return known if type(known) is int else self._nft(_GENERATION, "the nftables generation", nft_raw.generation, None)

    def nft_tables(self) -> Sequence[bytes]:
        known = self._known.get(_TABLES)
        return known if type(known) is tuple else self._nft(_TABLES, "nftables tables", nft_raw.tables, ())

    def nft_chains(self, family: int) -> Sequence[bytes]:
        return self._nft(("nft", "chains", family), f"nftables chains (family {_FAMILY.get(family, family)})",
                         lambda netlink: nft_raw.chains(netlink, family), ())

    def nft_rules(self, family: int, table: str, chain: str) -> Sequence[bytes]:
        if not kernel_has("nf_tables"):
            return ()
        what = f"nftables rules ({_FAMILY.get(family, family)} {table} {chain})"
        return self.ask(("nft", "rules", family, table, chain), what,
                        lambda: nft_raw.rules(self.door, family, table, chain, lambda error: self.unreadable(what, error)))

    def nft_set(self, family: int, table: str, name: str) -> bytes | None:
        return self._nft(("nft", "set", family, table, name), f"nftables set {name}",
                         lambda netlink: nft_raw.set_(netlink, family, table, name), None)

    def nft_set_elements(self, family: int, table: str, name: str) -> Sequence[bytes]:
        return self._nft(("nft", "elements", family, table, name), f"elements of nftables set {name}",
                         lambda netlink: nft_raw.set_elements(netlink, family, table, name), ())

    def nft_set_get(self, family: int, table: str, name: str, key: bytes, key_end: bytes | None) -> Sequence[bytes] | None:
        header = self.nft_set(family, table, name)
        interval = header is not None and nft_raw.is_interval(header)
        return self._nft(("nft", "element", family, table, name, key, key_end), f"an element of nftables set {name}",
                         lambda netlink: nft_raw.set_get(netlink, family, table, name, key, key_end, interval), None)

    def nft_objects(self, family: int, table: str) -> Sequence[bytes]:
        return self._nft(("nft", "objects", family, table), f"nftables objects of table {table}",
                         lambda netlink: nft_raw.objects(netlink, family, table), ())

    def nft_flowtables(self, family: int) -> Sequence[bytes]:
        return self._nft(("nft", "flowtables", family), f"nftables flowtables (family {_FAMILY.get(family, family)})",
                         lambda netlink: nft_raw.flowtables(netlink, family), ())

    def xt_tables(self, family: int) -> Sequence[str]:
        from pktdiag.collect.xt_raw import names_file

        def read() -> tuple[str, ...]:
            path = names_file(family)
            if path is None:
                from pktdiag.collect.ebtables import tables_present

                try:
                    return tables_present(self.nf_hooks)
                except OSError:
                    if self.host.assume_empty:
                        return ()
                    raise
            return tuple((self.door.read(path) or b"").decode("utf-8", "surrogateescape").split())

        return self.ask(("xt", family), f"names of the legacy {_XT_TOOL.get(family, family)} tables", read)

    def xt_table(self, family: int, table: str) -> tuple[bytes, bytes]:
        from pktdiag.collect.xt_raw import RawSocket, read_table, socket_family

        def read() -> tuple[bytes, bytes]:
            if table not in self.xt_tables(family):
                raise FileNotFoundError(2, "no such table")
            early = self.host.early_table(self.door, family, table)
            if early is not None:
                return early
            with self.door.inside():
                sock = RawSocket(socket_family(family))
            try:
                return read_table(sock, family, table)
            finally:
                sock.close()

        return self.ask(("xt", family, table), f"legacy {_XT_TOOL.get(family, family)} table {table}", read)

    def ipset_header(self, name_or_index: str | int) -> bytes | None:
        from pktdiag.collect import ipset_raw

        if not kernel_has("ip_set"):
            return None
        return self.ask(("ipset", name_or_index), f"ipset {name_or_index}",
                        lambda: ipset_raw.header(self.door.netfilter(), name_or_index))

    def ipset_test(self, name: str, request: bytes) -> bool:
        from pktdiag.collect import ipset_raw

        return self.ask(("ipset", name, request), f"membership in ipset {name}",
                        lambda: ipset_raw.test(self.door.netfilter(), name, request))

    def ipset_members(self, name: str) -> Sequence[bytes]:
        from pktdiag.collect import ipset_raw

        return self.ask(("ipset", name, "members"), f"members of ipset {name}",
                        lambda: ipset_raw.members(self.door.netfilter(), name))

    def nf_hooks(self, family: int, hook: int, device: str | None) -> Sequence[tuple[int, str, str]] | None:
        from pktdiag.collect.nf_hooks import read_hooks

        if not kernel_has("nfnetlink_hook"):
            return None
        return self.ask(("hooks", family, hook, device), f"functions at netfilter hook {hook} of family {family}",
                        lambda: read_hooks(self.door.netfilter(), family, hook, device))

    def conntrack_get(self, tuple_: ConntrackTuple, reply: bool, zone: int) -> ConntrackEntry | None:
        from pktdiag.collect.ctnetlink import read_entry

        def read() -> ConntrackEntry | None:
            if self.conntrack_count() is None:
                return None
            return read_entry(self.door.netfilter(), tuple_, reply, zone)

        return self.ask(("ct", tuple_, reply, zone), "conntrack entry", read)

    def expectations(self) -> Sequence[Expectation]:
        from pktdiag.collect.ctnetlink import read_expectations

        def read() -> Sequence[Expectation]:
            count = self.conntrack_count()
            return read_expectations(self.door.netfilter()) if count is not None and count[0] else ()

        return self.ask("expectations", "expected connections", read)

    def queue_numbers(self) -> frozenset[int]:
        def read() -> frozenset[int]:
            content = self.door.read("/proc/thread-self/net/netfilter/nfnetlink_queue") or b""  # no module, no file, no program
            return frozenset(int(line.split()[0]) for line in content.splitlines() if line.strip())

        return self.ask("queues", "NFQUEUE programs", read)

    def accounting_object(self, name: str) -> AccountingObject | None:
        from pktdiag.collect.nfacct_raw import read

        return self.ask(("nfacct", name), f"accounting object {name}", lambda: read(self.door.netfilter(), name))

    def xfrm_policies(self) -> tuple[tuple[bytes, ...], bytes]:
        def read() -> tuple[tuple[bytes, ...], bytes]:
            from pktdiag.collect.xfrm_raw import policies

            return policies(self.door)

        known = self._known.get(_XFRM)
        return known if type(known) is tuple else self.ask(_XFRM, "IPsec policies", read)

    def conntrack_count(self) -> tuple[int, int] | None:
        def read() -> tuple[int, int] | None:
            folder = "/proc/sys/net/netfilter/"
            count, limit = self.door.read(folder + "nf_conntrack_count"), self.door.read(folder + "nf_conntrack_max")
            return None if count is None or limit is None else (int(count), int(limit))

        return self.ask("conntrack", "size of the conntrack table", read)


