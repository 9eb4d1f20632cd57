"""Raw rules, sets and connections: what ``nft``, ``iptables``, ``ipset`` and ``conntrack`` made is what we are given."""

from __future__ import annotations

import struct

import pytest

from pktdiag.collect.netlink import attribute, attributes, be, nested, text
from pktdiag.model.host import ConntrackTuple
from pktdiag.model.packet import parse_address
from pktdiag.model.view import Unreadable

from .conftest import Lab

RULESET = """
table ip t {
  set ports { type inet_service; elements = { 22, 80, 443 } }
  set nets { type ipv4_addr; flags interval; elements = { 198.51.100.0/24, 203.0.113.7, 255.255.255.0/24 } }
  set pairs { type ipv4_addr . inet_service; flags interval; elements = { 198.51.100.0/24 . 80-90 } }
  counter c { }
  chain one { type filter hook input priority 0; tcp dport { 1, 2 } accept; ip saddr 198.51.100.1 counter drop; }
  chain two { accept; }
}
table inet u { chain three { type filter hook forward priority 5; policy drop;
 }
}
"""


def test_nftables_payloads(lab: Lab) -> None:
    view = lab.add("f")
    assert view.nft_tables() == ()
    lab.run("f", "nft -f -", RULESET)
    view = lab.fresh("f")
    tables = [(payload[0], text(attributes(payload, 4)[1])) for payload in view.nft_tables()]
    assert tables == [(2, "t"), (1, "u")]
    assert [text(attributes(payload, 4)[3]) for payload in view.nft_chains(2)] == ["one", "two"]
    assert [text(attributes(payload, 4)[3]) for payload in view.nft_chains(1)] == ["three"]
    assert len(view.nft_rules(2, "t", "one")) == 2 and len(view.nft_rules(2, "t", "two")) == 1
    assert view.nft_rules(2, "t", "nosuch") == () and view.nft_rules(2, "nosuch", "one") == () and view.nft_chains(10) == ()
    assert len(view.nft_objects(2, "t")) == 1 and view.nft_flowtables(2) == ()
    header = view.nft_set(2, "t", "ports")
    assert header is not None and text(attributes(header, 4)[2]) == "ports"
    assert view.nft_set(2, "t", "nosuch") is None and view.nft_set(2, "t", "__set0") is not None


def test_one_element_is_asked_for_alone(lab: Lab) -> None:
    lab.add("e")
    lab.run("e", "nft -f -", RULESET)
    view = lab.fresh("e")

    def has(name: str, key: bytes) -> bool:
        return view.nft_set_get(2, "t", name, key, None) is not None

    assert has("ports", (80).to_bytes(2, "big")) and not has("ports", (81).to_bytes(2, "big"))
    inside = ["198.51.100.0", "198.51.100.255", "203.0.113.7", "255.255.255.255"]
    outside = ["198.51.99.255", "198.51.101.0", "203.0.113.6", "203.0.113.8", "0.0.0.0", "255.255.254.255"]
    assert [address for address in inside + outside if has("nets", parse_address(address))] == inside
    pair = parse_address("198.51.100.9")
    assert has("pairs", pair + bytes((0, 85, 0, 0))) and not has("pairs", pair + bytes((0, 91, 0, 0)))
    assert len(view.nft_set_get(2, "t", "nets", parse_address("198.51.100.4"), None) or ()) == 2
    assert view.nft_set_elements(2, "t", "ports")


def test_a_new_generation_is_seen(lab: Lab) -> None:
    lab.add("g")
    lab.run("g", "nft list ruleset")
    view = lab.fresh("g")
    before = view.nft_generation()
    lab.run("g", "nft add table ip x")
    assert view.nft_generation() == before  # one view, one answer
    after = lab.fresh("g").nft_generation()
    assert before is not None and after is not None and after > before


@pytest.mark.parametrize(("tool", "family"), [("iptables-legacy", 2), ("ip6tables-legacy", 10)])
def test_legacy_tables(lab: Lab, tool: str, family: int) -> None:
    view = lab.add("l")
    assert view.xt_tables(family) == ()
    if lab.try_run("l", f"{tool} -A INPUT -p tcp --dport 80 -j DROP").returncode:
        pytest.skip(f"this kernel has no {tool}")
    view = lab.fresh("l")
    assert view.xt_tables(family) == ("filter",)
    info, entries = view.xt_table(family, "filter")
    assert info.startswith(b"filter\0") and len(info) == 84
    valid_hooks, number, size = struct.unpack_from("=I", info, 32)[0], *struct.unpack_from("=II", info, 76)
    assert valid_hooks == 0b01110 and number == 5  # three policies, one rule, the error entry
    assert len(entries) == 40 + size and b"DROP" not in entries[:40] and entries.startswith(b"filter\0")


def test_asking_for_a_legacy_table_does_not_make_it(lab: Lab) -> None:
    view = lab.add("m")
    for table in ("filter", "nat"):
        with pytest.raises(Unreadable) as caught:
            view.xt_table(2, table)
        assert table in caught.value.gap.what
    assert lab.run("m", "cat /proc/net/ip_tables_names") == ""
    assert lab.fresh("m").xt_tables(2) == ()


def test_ebtables_is_named_or_said_to_be_unknown(lab: Lab) -> None:
    view = lab.add("eb")
    lab.run("eb", "ip link add br0 type bridge")
    try:
        assert view.xt_tables(7) in ((), ("filter",))
    except Unreadable as unknown:
        assert "ebtables" in unknown.gap.what


def test_legacy_ebtables(lab: Lab) -> None:
    lab.add("el")
    lab.add("other")
    lab.run("el", "ip link add br0 type bridge")
    if lab.try_run("el", "ebtables-legacy -A FORWARD -p IPv4 -j DROP").returncode:
        assert lab.fresh("el").xt_tables(7) == ()  # a kernel without it has none, and that is known
        return
    with pytest.raises(Unreadable) as unknown:  # somebody has a table; without nfnetlink_hook nobody says who
        lab.fresh("other").xt_tables(7)
    assert "nfnetlink_hook" in unknown.value.gap.remedy
    if lab.try_run("el", "modprobe nfnetlink_hook").returncode:
        return  # unknown stays unknown, as shown above
    view, other = lab.fresh("el"), lab.view("other")
    assert view.xt_tables(7) == ("filter",) and other.xt_tables(7) == ()
    info, entries = view.xt_table(7, "filter")
    assert info.startswith(b"filter\0") and len(info) == 128
    nentries, size = struct.unpack_from("=II", info, 36)
    assert nentries == 1 and len(entries) == 128 + size + 16 and b"DROP" not in entries  # DROP is a standard verdict
    assert other.xt_tables(7) == () and lab.fresh("other").xt_tables(7) == ()  # reading made none


def test_ipsets(lab: Lab) -> None:
    view = lab.add("s")
    if lab.try_run("s", "ipset create one hash:net").returncode:
        pytest.skip("this kernel has no ipset")
    lab.run("s", "ipset add one 198.51.100.0/24")
    header = view.ipset_header("one")
    assert header is not None and text(attributes(header, 4)[2]) == "one" and text(attributes(header, 4)[3]) == "hash:net"
    by_index = view.ipset_header(0)
    assert by_index is not None and text(attributes(by_index, 4)[2]) == "one"
    assert view.ipset_header("nosuch") is None and view.ipset_header(77) is None

    def element(address: str) -> bytes:
        return nested(1, attribute(1 | 0x4000, parse_address(address)))  # IPSET_ATTR_IP { IPSET_ATTR_IPADDR_IPV4 }

    assert view.ipset_test("one", element("198.51.100.77")) is True
    assert view.ipset_test("one", element("198.51.101.77")) is False
    assert parse_address("198.51.100.0") in b"".join(view.ipset_members("one"))


def test_a_connection_by_its_tuple(lab: Lab) -> None:
    view = lab.add("c")
    assert view.conntrack_count() is not None
    lab.run("c", "conntrack -I -p tcp -s 198.51.100.1 -d 203.0.113.1 --sport 40000 --dport 80 --state ESTABLISHED -m 7 -t 60 "
                 "--dst-nat 192.0.2.9")
    lab.run("c", "conntrack -I -p icmp -s 198.51.100.1 -d 203.0.113.1 --icmp-type 8 --icmp-code 0 --icmp-id 55 -t 60")
    lab.run("c", "conntrack -I -p udp -s 2001:db8::1 -d 2001:db8::2 --sport 5 --dport 6 -t 60 -w 3")
    a, b, n = (parse_address(address) for address in ("198.51.100.1", "203.0.113.1", "192.0.2.9"))
    view = lab.fresh("c")
    assert view.conntrack_count() is not None and (view.conntrack_count() or (0, 0))[0] == 3
    orig = ConntrackTuple(a, b, 6, 40000, 80)
    entry = view.conntrack_get(orig, False, 0)
    assert entry is not None and entry.orig == orig and entry.reply == ConntrackTuple(n, a, 6, 80, 40000)
    assert entry.tcp_state == 3 and entry.mark == 7 and entry.status & 0x28 == 0x28 and 50 <= (entry.timeout or 0) <= 60
    assert view.conntrack_get(entry.reply, True, 0) == entry
    assert view.conntrack_get(entry.reply, False, 0) is None and view.conntrack_get(orig, True, 0) is None
    assert view.conntrack_get(orig, False, 9) is None
    ping = view.conntrack_get(ConntrackTuple(a, b, 1, 55, 0x0800), False, 0)
    assert ping is not None and ping.reply == ConntrackTuple(b, a, 1, 55, 0)
    six = ConntrackTuple(parse_address("2001:db8::1"), parse_address("2001:db8::2"), 17, 5, 6)
    assert view.conntrack_get(six, False, 0) is None
    zoned = view.conntrack_get(six, False, 3)
    assert zoned is not None and zoned.zone == 3
    assert view.conntrack_get(ConntrackTuple(a, b, 47, 0, 0), False, 0) is None


def test_hooks_are_listed_or_said_to_be_unknown(lab: Lab) -> None:
    lab.add("k")
    lab.run("k", "nft -f -", RULESET)
    hooks = lab.fresh("k").nf_hooks(2, 1, None)
    assert hooks is None or any(priority == 0 for priority, _, _ in hooks)


def test_be_reads_network_order() -> None:
    assert be(b"\x01\x00") == 256 and be(b"") == 0

EXPECTING = """
table ip t {
  ct expectation ftp { protocol tcp; dport 2121; timeout 1m; size 5; l3proto ip; }
  chain o { type filter hook output priority 0; meta l4proto udp ct expectation set "ftp"; }
}
"""


def test_connections_that_are_expected(lab: Lab) -> None:
    view = lab.add("x")
    assert view.expectations() == ()
    lab.run("x", "ip link set lo up")
    lab.run("x", "nft -f -", EXPECTING)
    sender = 'import socket; s = socket.socket(2, 2); s.bind(("127.0.0.1", 4000)); s.sendto(b"x", ("127.0.0.2", 53))'
    lab.run("x", "python3 -", sender)
    (found,) = lab.fresh("x").expectations()
    here, there = parse_address("127.0.0.1"), parse_address("127.0.0.2")
    # What was asked may come back: from any port of its own to the one named.
    assert found.tuple == ConntrackTuple(there, here, 6, 0, 2121)
    assert (found.mask.src, found.mask.sport) == (b"\xff" * 4, 0)
    assert found.master == ConntrackTuple(here, there, 17, 4000, 53) and not found.inactive
    assert found.zone is None  # Linux 6.18 does not tell
