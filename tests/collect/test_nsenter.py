"""Going in, coming back, and leaving nothing open; asking only."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pktdiag.collect import netlink as nl
from pktdiag.collect.live import LiveHost
from pktdiag.collect.netlink import Netlink, attributes, nested
from pktdiag.collect.nsenter import FdPool
from pktdiag.model.view import Unreadable

from .conftest import Lab


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_we_come_back(lab: Lab) -> None:
    before = os.readlink("/proc/thread-self/ns/net")
    view = lab.add("b")
    view.links()
    view.sysctl("net/ipv4/ip_forward")
    with pytest.raises(KeyError), view.door.inside():
        assert os.readlink("/proc/thread-self/ns/net") == view.id != before
        raise KeyError
    assert os.readlink("/proc/thread-self/ns/net") == before


def test_many_namespaces_do_not_use_up_the_descriptors(lab: Lab) -> None:
    lab.host.pool = FdPool(capacity=6)
    names = [f"m{number}" for number in range(12)]
    views = [lab.add(name) for name in names]
    start = open_fds() - len(lab.host.pool)
    for view in views:
        assert [link.name for link in view.links().values()] == ["lo"]
        view.nft_tables()
        view.sockets(6, 2)
    assert len(lab.host.pool) <= 6 and open_fds() - start <= 6 + 1  # and the way home
    lab.host.refresh()
    assert open_fds() == start
    assert views[0].links()  # opened anew


def test_a_namespace_that_vanished_is_unreadable(lab: Lab) -> None:
    view = lab.add("gone")
    lab.remove()
    lab.made.clear()
    with pytest.raises(Unreadable) as caught:
        view.links()
    assert "vanished" in caught.value.gap.why
    assert caught.value.gap in lab.host.gaps()
    with pytest.raises(Unreadable):
        view.links()  # remembered
    with pytest.raises(Unreadable):
        LiveHost().namespace(1)


def test_without_permission_the_gap_says_what_to_do(lab: Lab) -> None:
    lab.add("perm")
    script = f"""
from pktdiag.collect.live_namespace import LiveNamespace
from pktdiag.collect.live import LiveHost
from pktdiag.model.view import Unreadable
host = LiveHost()
assert host.current_namespace().links()
try:
    LiveNamespace(host, {lab.inode("perm")}, "/run/netns/{lab.prefix}perm", ("x",)).links()
except Unreadable as error:
    print(error.gap.why, "|", error.gap.remedy)
try:
    host.current_namespace().nft_tables()
except Unreadable as error:
    print(error.gap.what, "|", error.gap.why)
"""
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    done = subprocess.run([*without, sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "permission denied | run as root (CAP_NET_ADMIN in the namespace, CAP_SYS_ADMIN to enter it)",
        "nftables tables | permission denied"], done.stderr


@pytest.mark.parametrize(("protocol", "kind"), [
    (nl.NETLINK_ROUTE, 16), (nl.NETLINK_ROUTE, 24), (nl.NETLINK_ROUTE, 88), (nl.NETLINK_SOCK_DIAG, 21),
    (nl.NETLINK_NETFILTER, 10 << 8 | 6), (nl.NETLINK_NETFILTER, 10 << 8 | 21), (nl.NETLINK_NETFILTER, 1 << 8 | 3),
    (nl.NETLINK_NETFILTER, 1 << 8), (nl.NETLINK_NETFILTER, 6 << 8 | 9), (nl.NETLINK_NETFILTER, 16), (nl.NETLINK_NETFILTER, 6 << 8 | 13)])
def test_nothing_but_reading_can_be_sent(protocol: int, kind: int) -> None:
    client = Netlink(protocol)
    try:
        with pytest.raises(AssertionError):
            client.get(kind, bytes(16))
        with pytest.raises(AssertionError):
            client.dump(kind, bytes(16))
        with pytest.raises(AssertionError):
            client.send([(next(iter(nl.READING[protocol])), b"")], 0x400)  # NLM_F_CREATE
    finally:
        client.close()


def test_a_dump_that_never_holds_still_is_not_taken_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Netlink(nl.NETLINK_ROUTE)
    asked = []

    def part(self: Netlink, sequence: int, found: list[bytes], fits: object = None) -> int:
        asked.append(sequence)
        return nl.DONE | nl.INTERRUPTED if len(asked) < 3 else nl.DONE

    with monkeypatch.context() as patch:
        patch.setattr(Netlink, "part", part)
        assert client.dump(18, bytes(16)) == [] and len(asked) == 3
        asked.clear()
        with pytest.raises(nl.Interrupted):
            client.dump(18, bytes(16), attempts=2)
    client.close()


def test_attributes_survive_nonsense() -> None:
    assert attributes(b"\x08\x00\x01\x00abcd\x03\x00\x02\x00") == {1: b"abcd"}
    assert attributes(b"\xff\xff\x01\x00ab") == {1: b"ab"}
    assert attributes(nested(5, nl.text_attribute(1, "lo"))) == {5: b"\x07\x00\x01\x00lo\0\0"}
