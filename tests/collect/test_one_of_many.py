"""What is asked for alone is what a list of everything shows, at a cost that does not grow with the list."""

from __future__ import annotations

import pytest

from pktdiag.collect.netlink import Netlink
from pktdiag.model.packet import parse_address

from .conftest import Lab

pytestmark = pytest.mark.root
KINDS = ("vlan", "macvlan", "macvtap", "ipvlan", "ipvtap")


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of every message the kernel answers with."""
    sizes: list[int] = []
    real = Netlink._receive

    def counted(self: Netlink) -> bytes:
        chunk = real(self)
        sizes.append(len(chunk))
        return chunk

    monkeypatch.setattr(Netlink, "_receive", counted)
    return sizes


def bridge(lab: Lab, ports: int) -> int:
    """br0 with ports p0 and up; its ifindex."""
    lab.add("o")
    vlans = not lab.try_run("o", "ip link add br1 type bridge vlan_filtering 1").returncode  # not every kernel has them
    lines = [f"link add br0 address 02:00:00:00:00:01 type bridge{' vlan_filtering 1' if vlans else ''}", "link set br0 up", "address add 198.51.100.1/24 dev br0"]
    for number in range(ports):
        lines += [f"link add p{number} type veth peer name q{number}", f"link set p{number} master br0 up",
                  f"neigh add 198.51.100.{number + 2} lladdr 02:00:00:00:01:{number:02x} dev br0 nud permanent"]
    lines += ["neigh add proxy 198.51.100.250 dev br0"]
    lab.run("o", "ip -batch -", stdin="\n".join(lines))
    lab.run("o", "bridge -batch -", stdin="\n".join(
        f"fdb add 02:00:00:00:01:{number:02x} dev p{number} master static{' vlan 1' if vlans and number % 2 else ''}" for number in range(ports)))
    link = lab.fresh("o").link_named("br0")
    assert link is not None
    return link.ifindex


def test_forwarding_entries(lab: Lab) -> None:
    br = bridge(lab, 6)
    every, alone = lab.fresh("o").fdb(br), lab.fresh("o")
    assert len(every) >= 12
    for entry in every:
        assert alone.fdb_entry(br, entry.mac, entry.vlan) == entry
    assert alone.fdb_entry(br, bytes.fromhex("020000000199"), 0) is None and alone.fdb_entry(br, b"\2\0\0\0\0\0", 1) is None


def test_neighbours(lab: Lab) -> None:
    br = bridge(lab, 6)
    every = lab.fresh("o").neighbours(2, br)
    alone = lab.fresh("o")
    assert len(every) >= 7 and sum(item.proxy for item in every) == 1
    for item in every:
        found = alone.neighbour(2, br, item.dst, item.proxy)
        assert found is not None and found._replace(history=None) == item._replace(history=None)  # the history counts time
        assert alone.neighbour(2, br, item.dst, not item.proxy) is None
    assert alone.neighbour(2, br, parse_address("198.51.100.99"), False) is None


def test_ports_and_kinds(lab: Lab) -> None:
    br = bridge(lab, 6)
    for kind, options in (("vlan", " id 5"), ("macvlan", " mode bridge"), ("macvtap", ""), ("ipvlan", "")):
        lab.try_run("o", f"ip link add up{kind} link q1 type {kind}{options}")  # not every kernel has them all
    links, alone = lab.fresh("o").links(), lab.fresh("o")
    assert [port.name for port in alone.ports(br)] == [f"p{number}" for number in range(6)]
    assert list(alone.ports(br)) == [link for link in links.values() if link.master == br]
    for kinds in (KINDS, KINDS, ("bridge",), ("veth", "bridge"), ("no-such-kind",)):
        assert list(alone.links_of(kinds)) == [link for link in links.values() if link.kind in kinds]


def test_what_is_read_does_not_grow(lab: Lab, received: list[int]) -> None:
    br = bridge(lab, 60)
    view = lab.fresh("o")
    view.link(br)
    received.clear()
    view.fdb_entry(br, b"\2\0\0\0\1\4", 0)
    view.neighbour(2, br, parse_address("198.51.100.9"), False)
    assert sum(received) < 500
    view.links_of(KINDS)
    assert sum(received) < len(KINDS) * 20_000  # each kind without a driver costs the beginning of a list
    received.clear()
    lab.fresh("o").links()
    assert sum(received) > 60_000
