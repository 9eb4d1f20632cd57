"""What ``ip`` says and what we read are the same."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from pktdiag.model.kernel import IFF_PROMISC
from pktdiag.model.packet import format_address, parse_address

from .conftest import Lab

KINDS = {
    "veth": "ip link add K type veth peer name K-p",
    "bridge": "ip link add K type bridge vlan_filtering 1 ageing_time 1000 mcast_snooping 0",
    "macvlan": "ip link add link base name K type macvlan mode private",
    "macvtap": "ip link add link base name K type macvtap mode bridge",
    "ipvlan": "ip link add link base name K type ipvlan mode l3s",
    "vlan": "ip link add link base name K type vlan id 7",
    "vxlan": "ip link add K type vxlan id 42 remote 198.51.100.9 local 198.51.100.1 dstport 4789 dev base",
    "geneve": "ip link add K type geneve id 43 remote 198.51.100.9",
    "bond": "ip link add K type bond mode 802.3ad",
    "vrf": "ip link add K type vrf table 100",
    "tun": "ip tuntap add dev K mode tap",
    "gre": "ip link add K type gre local 198.51.100.1 remote 198.51.100.2 key 5",
    "ipip": "ip link add K type ipip local 198.51.100.1 remote 198.51.100.2 ttl 33",
    "sit": "ip link add K type sit local 198.51.100.1 remote 198.51.100.2",
    "ip6tnl": "ip link add K type ip6tnl local 2001:db8::1 remote 2001:db8::2",
    "wireguard": "ip link add K type wireguard",
}


@pytest.fixture
def kinds(lab: Lab) -> tuple[Lab, list[str]]:
    """One device of every kind this kernel offers."""
    lab.add("k")
    lab.device("k", "base")
    made = [kind for kind, command in KINDS.items() if lab.try_run("k", command.replace("K", "d-" + kind)).returncode == 0]
    assert len(made) > 3
    return lab, made


CAPTURE = """import socket, struct, sys
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
tap.setsockopt(263, 1, struct.pack("iHH8x", socket.if_nametoindex("d0"), 1, 0))  # PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC
print("listening", flush=True)
sys.stdin.read()"""


def test_a_capture_makes_a_device_promiscuous(lab: Lab) -> None:
    """The kernel tells it as a number ("promiscuity 1"); the flag it sends is only what was asked for by hand."""
    lab.add("p")
    lab.device("p", "d0")

    def promiscuous() -> bool:
        return any(link.flags & IFF_PROMISC for link in lab.fresh("p").links().values())

    assert not promiscuous()
    argv = ["nsenter", f"--net=/run/netns/{lab.prefix}p", sys.executable, "-c", CAPTURE]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as capture:
        assert capture.stdout is not None and capture.stdout.readline() == "listening\n"
        assert promiscuous()
        capture.communicate()
    assert not promiscuous()


def test_every_device_reads_as_ip_shows_it(kinds: tuple[Lab, list[str]]) -> None:
    lab, made = kinds
    links = lab.view("k").links()
    shown = lab.json("k", "ip -d -j link")
    assert list(links) == sorted(item["ifindex"] for item in shown)
    names = {link.ifindex: link.name for link in links.values()}
    for item in shown:
        link = links[item["ifindex"]]
        assert link.name == item["ifname"] and link.mtu == item["mtu"] and link.qdisc == item["qdisc"]
        assert link.up == ("UP" in item["flags"]) and link.lower_up == ("LOWER_UP" in item["flags"])
        if item["link_type"] in ("ether", "loopback"):
            assert link.mac.hex(":") == item["address"]
        assert (names[link.master] if link.master else None) == item.get("master")
        if link.link and link.link.nsid is not None:
            assert (link.link.ifindex, link.link.nsid) == (item["link_index"], item["link_netnsid"])
        else:
            # For a vxlan the kernel names the device below in its data only.
            below = item.get("linkinfo", {}).get("info_data", {}).get("link") if link.kind == "vxlan" else item.get("link")
            assert (names[link.link.ifindex] if link.link else None) == below
        kind = item.get("linkinfo", {}).get("info_kind")
        if kind:
            assert link.kind == kind
            _same_data(link.data, item["linkinfo"].get("info_data", {}))
    assert {"d-" + kind for kind in made} <= {link.name for link in links.values()}


def _same_data(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Every key both know has the same value, in whichever spelling."""
    for key in ours.keys() & theirs.keys():
        value, shown = ours[key], theirs[key]
        if shown is None:  # how ip prints the zero of some enumerations
            continue
        if key in ("group_addr", "bridge_id", "root_id", "vlan_protocol", "protocol", "flags", "df", "ikey", "okey", "link",
                   "port_range", "encap_limit", "flowinfo", "encap_type", "ttl", "label", "gbp", "max_age", "mode") or (
                isinstance(value, int) and isinstance(shown, str) and not shown.isdigit()):  # an enumeration, by name
            continue
        if isinstance(value, bytes):
            value = format_address(value) if any(value) else "any"
        assert value == shown or bool(value) == shown or str(value) == str(shown), (key, value, shown)


def test_options_that_decide_something(kinds: tuple[Lab, list[str]]) -> None:
    lab, made = kinds
    links = {link.name: link for link in lab.view("k").links().values()}
    expected = {
        "bridge": {"vlan_filtering": 1, "ageing_time": 1000, "mcast_snooping": 0, "nf_call_iptables": 0},
        "macvlan": {"mode": "private"}, "macvtap": {"mode": "bridge"}, "ipvlan": {"mode": "l3s"},
        "vlan": {"id": 7, "protocol": 0x8100},
        "vxlan": {"id": 42, "port": 4789, "local": parse_address("198.51.100.1"), "group": parse_address("198.51.100.9")},
        "geneve": {"id": 43, "remote": parse_address("198.51.100.9")},
        "bond": {"mode": "802.3ad"}, "vrf": {"table": 100}, "tun": {"type": "tap"},
        "gre": {"remote": parse_address("198.51.100.2"), "ikey": 5},
        "ipip": {"local": parse_address("198.51.100.1"), "ttl": 33},
        "sit": {"remote": parse_address("198.51.100.2")},
        "ip6tnl": {"remote": parse_address("2001:db8::2")},
    }
    for kind in made:
        data = links["d-" + kind].data
        assert expected.get(kind, {}).items() <= data.items(), kind


def test_one_link_is_asked_for_alone(lab: Lab) -> None:
    lab.add("o")
    lab.device("o", "x0")
    view = lab.view("o")
    link = view.link_named("x0")
    assert link is not None and view.link(link.ifindex) == link
    assert view.link(9999) is None and view.link_named("nosuch") is None and view.link_named("far-too-long-a-name") is None
    assert view.links()[link.ifindex] == link


def test_ports_of_bridge_bond_and_vrf(lab: Lab) -> None:
    lab.add("p")
    lab.device("p", "p0")
    for line in ("ip link add br0 type bridge", "ip link set p0 master br0",
                 "bridge link set dev p0 hairpin on isolated on learning off guard on flood off"):
        lab.run("p", line)
    view = lab.view("p")
    port = view.link_named("p0")
    bridge = view.link_named("br0")
    assert port is not None and bridge is not None
    assert port.master == bridge.ifindex and port.slave_kind == "bridge"
    chosen = {key: port.port[key] for key in ("hairpin", "isolated", "learning", "guard", "unicast_flood", "mcast_flood", "state")}
    assert chosen == {"hairpin": 1, "isolated": 1, "learning": 0, "guard": 1, "unicast_flood": 0, "mcast_flood": 1, "state": 0}


def test_a_veth_leads_to_its_peer(lab: Lab) -> None:
    lab.add("v1")
    lab.add("v2")
    lab.veth("v1", "e1", "v2", "e2")
    one = lab.view("v1")
    end = one.link_named("e1")
    assert end is not None and end.link is not None and end.link.nsid is not None
    there = one.peer_namespace(end.link.nsid)
    assert there is not None and there.id == f"net:[{lab.inode('v2')}]" and there.names == (lab.prefix + "v2",)
    peer = there.link(end.link.ifindex)
    assert peer is not None and peer.name == "e2" and peer.link is not None and peer.link.ifindex == end.ifindex
    assert one.peer_namespace(12345) is None


def test_addresses(lab: Lab) -> None:
    lab.add("a")
    lab.device("a", "d0")
    for line in ("ip link set d0 up", "ip addr add 198.51.100.1/24 brd + dev d0",
                 "ip addr add 198.51.100.2/24 dev d0", "ip addr add 203.0.113.1 peer 203.0.113.2/32 dev d0",
                 "ip addr add 2001:db8::1/64 dev d0 nodad"):
        lab.run("a", line)
    view = lab.view("a")
    for family, flag in ((2, "-4"), (10, "-6")):
        shown = [(item["ifindex"], info["local"], info["prefixlen"], info.get("address"), info.get("broadcast"),
                  "secondary" in info)
                 for item in lab.json("a", f"ip {flag} -j addr") for info in item["addr_info"]]
        ours = [(one.ifindex, format_address(one.local), one.prefixlen, one.peer and format_address(one.peer),
                 one.broadcast and format_address(one.broadcast), family == 2 and bool(one.flags & 1)) for one in view.addresses(family)]
        assert sorted(ours, key=str) == sorted(shown, key=str)
    assert [a.local[-1] for a in view.addresses(2) if a.flags & 1] == [2]


def test_rules(lab: Lab) -> None:
    lab.add("r")
    for line in ("ip rule add pref 100 from 198.51.100.0/24 to 203.0.113.0/24 fwmark 0x10/0xff iif lo tos 0x10 table 77",
                 "ip rule add pref 200 not oif lo ipproto tcp dport 80-90 sport 1000 uidrange 0-99 goto 32766",
                 "ip rule add pref 300 table 254 suppress_prefixlength 0", "ip rule add pref 400 prohibit"):
        lab.run("r", line)
    rules = lab.view("r").route_rules(2)
    assert [rule.priority for rule in rules] == [0, 100, 200, 300, 400, 32766, 32767]
    one, two, three, four = rules[1:5]
    assert (one.src, one.srclen, one.dst, one.dstlen) == (parse_address("198.51.100.0"), 24, parse_address("203.0.113.0"), 24)
    assert (one.fwmark, one.fwmask, one.iif, one.tos, one.table, one.action) == (0x10, 0xFF, "lo", 0x10, 77, 1)
    assert (two.invert, two.oif, two.ip_proto, two.dport, two.sport, two.uid_range, two.goto, two.action) == (
        True, "lo", 6, (80, 90), (1000, 1000), (0, 99), 32766, 2)
    assert (three.suppress_prefixlength, three.table, one.suppress_prefixlength) == (0, 254, None)
    assert four.action == 8
    assert all(rule.unknown == () for rule in rules)
    assert [rule.priority for rule in lab.view("r").route_rules(10)] == [0, 32766]


def test_routes_of_one_table(lab: Lab) -> None:
    lab.add("t")
    lab.device("t", "d0")
    lab.device("t", "d1")
    for line in ("ip link set d0 up", "ip link set d1 up",
                 "ip addr add 198.51.100.1/24 dev d0", "ip addr add 203.0.113.1/24 dev d1", "ip addr add 2001:db8::1/64 dev d0 nodad",
                 "ip route add default via 198.51.100.254 metric 50 mtu 1400", "ip route add blackhole 192.0.2.0/25",
                 "ip route add 192.0.2.128/25 nexthop via 198.51.100.254 weight 3 nexthop dev d1",
                 "ip route add 10.0.0.0/8 via 198.51.100.9 src 198.51.100.1 table 5000 tos 0x10",
                 "ip -6 route add default via 2001:db8::fe pref high",
                 "ip -6 route add 2001:db8:1::/48 nexthop via 2001:db8::fe nexthop via 2001:db8::fd weight 2",
                 "ip route add 10.9.0.0/16 via inet6 2001:db8::fe dev d0"):
        lab.run("t", line)
    view = lab.view("t")
    for family, flag, table in ((2, "-4", 254), (2, "-4", 255), (2, "-4", 5000), (10, "-6", 254), (10, "-6", 255)):
        shown = lab.json("t", f"ip {flag} -j route show table {table}")
        ours = view.routes(family, table)
        assert len(ours) == len(shown) > 0
        for route, item in zip(ours, shown):
            text = "default" if not route.prefixlen else format_address(route.dst)
            full = route.prefixlen == len(route.dst) * 8
            assert item["dst"] == (text if full or not route.prefixlen else f"{text}/{route.prefixlen}")
            assert route.priority == item.get("metric", 0)
            if "gateway" in item:
                assert [format_address(hop.gateway or b"") for hop in route.nexthops] == [item["gateway"]]
            if "nexthops" in item:
                assert [hop.weight for hop in route.nexthops] == [hop["weight"] for hop in item["nexthops"]]
    default = view.routes(2, 254)[0]
    assert default.mtu == 1400 and default.metrics == {"mtu": 1400}
    assert view.routes(2, 5000)[0].prefsrc == parse_address("198.51.100.1") and view.routes(2, 5000)[0].tos == 0x10
    assert next(r for r in view.routes(2, 254) if r.dst[0] == 10).nexthops[0].gateway == parse_address("2001:db8::fe")
    assert next(r for r in view.routes(2, 254) if r.prefixlen == 25).nexthops == ()
    assert view.routes(2, 4242) == ()


@pytest.mark.parametrize("compat", ["1", "0"])
def test_routes_through_nexthop_objects(lab: Lab, compat: str) -> None:
    lab.add("n")
    lab.device("n", "d0")
    for line in ("ip link set d0 up", "ip addr add 198.51.100.1/24 dev d0",
                 "ip nexthop add id 1 via 198.51.100.2 dev d0", "ip nexthop add id 2 via 198.51.100.3 dev d0",
                 "ip nexthop add id 10 group 1,2/2,5", "ip route add 203.0.113.0/24 nhid 10", "ip route add 192.0.2.0/24 nhid 1",
                 f"sysctl -qw net.ipv4.nexthop_compat_mode={compat}"):
        lab.run("n", line)
    routes = {route.dst: route for route in lab.view("n").routes(2, 254)}
    group = routes[parse_address("203.0.113.0")]
    assert group.nhid == 10
    assert [(format_address(hop.gateway or b""), hop.weight) for hop in group.nexthops] == [("198.51.100.2", 2), ("198.51.100.3", 5)]
    single = routes[parse_address("192.0.2.0")]
    assert single.nhid == 1 and len(single.nexthops) == 1


def test_neighbours_and_proxies(lab: Lab) -> None:
    lab.add("h")
    lab.device("h", "d0")
    lab.device("h", "d1")
    for line in ("ip link set d0 up", "ip link set d1 up",
                 "ip neigh add 198.51.100.7 lladdr 02:00:00:00:00:07 dev d0 nud permanent",
                 "ip neigh add 198.51.100.8 lladdr 02:00:00:00:00:08 dev d1 nud permanent",
                 "ip neigh add proxy 203.0.113.9 dev d0", "ip neigh add 2001:db8::7 lladdr 02:00:00:00:00:07 dev d0"):
        lab.run("h", line)
    view = lab.view("h")
    link = view.link_named("d0")
    assert link is not None
    four = view.neighbours(2, link.ifindex)
    assert [(format_address(n.dst), n.lladdr, n.state, n.proxy) for n in four] == [
        ("198.51.100.7", bytes.fromhex("020000000007"), 0x80, False), ("203.0.113.9", None, 0, True)]
    assert [format_address(n.dst) for n in view.neighbours(10, link.ifindex) if n.dst[0] == 0x20] == ["2001:db8::7"]


def test_bridge_forwarding(lab: Lab) -> None:
    lab.add("b")
    lab.device("b", "p0")
    for line in ("ip link add br0 type bridge", "ip link set p0 master br0", "bridge link set dev p0 learning off",
                 "ip link set p0 up", "ip link set br0 up", "bridge fdb add 02:00:00:00:00:99 dev p0 master static", "ip link add br1 type bridge"):
        lab.run("b", line)
    view = lab.view("b")
    bridge, port, empty = (view.link_named(name) for name in ("br0", "p0", "br1"))
    assert bridge is not None and port is not None and empty is not None
    names = {bridge.ifindex: "br0", port.ifindex: "p0"}
    shown = sorted((item["mac"], item["ifname"], item.get("vlan", 0)) for item in lab.json("b", "bridge -j fdb show br br0")
                   if "self" not in item["flags"])
    assert sorted((e.mac.hex(":"), names[e.ifindex], e.vlan) for e in view.fdb(bridge.ifindex)) == shown
    assert ("02:00:00:00:00:99", "p0", 0) in shown
    static = next(e for e in view.fdb(bridge.ifindex) if e.mac[-1] == 0x99)
    assert static.state == 0x40 and static.master == bridge.ifindex
    assert view.mdb(empty.ifindex) == () and {vlan.ifindex for vlan in view.bridge_vlans(empty.ifindex)} <= {empty.ifindex}


def test_bridge_vlans(lab: Lab) -> None:
    lab.add("bv")
    lab.device("bv", "p0")
    if lab.try_run("bv", "ip link add br0 type bridge vlan_filtering 1").returncode:
        lab.run("bv", "ip link add br0 type bridge")  # a kernel without VLAN filtering: no membership, and no error
        plain = lab.view("bv").link_named("br0")
        assert plain is not None and lab.view("bv").bridge_vlans(plain.ifindex) == ()
        return
    for line in ("ip link set p0 master br0 up", "ip link set br0 up", "bridge vlan add dev p0 vid 20 pvid untagged",
                 "bridge vlan add dev br0 vid 20 self"):
        lab.run("bv", line)
    view = lab.view("bv")
    bridge, port = view.link_named("br0"), view.link_named("p0")
    assert bridge is not None and port is not None
    names = {bridge.ifindex: "br0", port.ifindex: "p0"}
    vlans = {(names[v.ifindex], v.vid, v.pvid, v.untagged) for v in view.bridge_vlans(bridge.ifindex)}
    assert vlans == {(item["ifname"], vlan["vlan"], "PVID" in vlan.get("flags", []), "Egress Untagged" in vlan.get("flags", []))
                     for item in lab.json("bv", "bridge -j vlan show") if item["ifname"] in ("br0", "p0") for vlan in item["vlans"]}


def test_multicast_groups(lab: Lab) -> None:
    lab.add("bm")
    lab.device("bm", "p0")
    if lab.try_run("bm", "ip link add br0 type bridge mcast_snooping 1").returncode:
        pytest.skip("this kernel has no multicast snooping")
    for line in ("ip link set p0 master br0 up", "ip link set br0 up", "bridge mdb add dev br0 port p0 grp 239.1.2.3 permanent"):
        lab.run("bm", line)
    view = lab.view("bm")
    bridge, port = view.link_named("br0"), view.link_named("p0")
    assert bridge is not None and port is not None
    groups = [e for e in view.mdb(bridge.ifindex) if e.dst is not None]
    assert (port.ifindex, parse_address("239.1.2.3")) in [(e.ifindex, e.dst) for e in groups]


def test_group_addresses_of_the_link(lab: Lab) -> None:
    lab.add("mc")
    for name in ("d0", "d1"):
        lab.device("mc", name)
    lab.run("mc", "ip maddr add 01:00:5e:01:02:03 dev d0")
    view = lab.view("mc")
    said = {item["ifname"]: {bytes.fromhex(entry["link"].replace(":", "")) for entry in item["maddr"] if "link" in entry}
            for item in lab.json("mc", "ip -j maddr show")}
    for name in ("d0", "d1", "lo"):
        link = view.link_named(name)
        assert link is not None and view.multicast_macs(link.ifindex) == said[name], name
    assert bytes.fromhex("01005e010203") in said["d0"] - said["d1"]


def test_vxlan_forwarding(lab: Lab) -> None:
    lab.add("x")
    if lab.try_run("x", "ip link add vx type vxlan id 42 dstport 4789").returncode:
        pytest.skip("this kernel has no vxlan")
    lab.run("x", "bridge fdb add 02:00:00:00:00:55 dev vx dst 198.51.100.5")
    view = lab.view("x")
    link = view.link_named("vx")
    assert link is not None
    entry = next(e for e in view.fdb(link.ifindex) if e.mac.hex() == "020000000055")
    assert entry.dst == parse_address("198.51.100.5") and entry.master is None


def test_traffic_control(lab: Lab) -> None:
    lab.add("q")
    lab.device("q", "d0")
    lab.device("q", "d1")
    lab.device("q", "d2")
    for line in ("ip link set d0 up", "tc qdisc add dev d0 clsact", "tc qdisc add dev d1 root handle 5: htb", "tc qdisc add dev d2 ingress",
                 "tc filter add dev d2 ingress pref 7 protocol ip u32 match u32 0 0 action mirred egress redirect dev d1",
                 "tc filter add dev d0 egress pref 7 protocol ip u32 match u32 0 0 action mirred egress redirect dev d1"):
        if lab.try_run("q", line).returncode:
            pytest.skip(f"this kernel cannot: {line}")
    view = lab.view("q")
    d0, d1, d2 = view.link_named("d0"), view.link_named("d1"), view.link_named("d2")
    assert d0 is not None and d1 is not None and d2 is not None
    assert view.tc(d0.ifindex, "ingress") == ()
    assert view.tc(d0.ifindex, "egress")[-1] == f"u32 pref 7 handle 0x80000800 protocol ip action redirect to egress of interface {d1.ifindex}"
    assert view.tc(d1.ifindex, "ingress") == view.tc(d1.ifindex, "egress") == ()
    assert view.tc(d2.ifindex, "ingress")[-1] == f"u32 pref 7 handle 0x80000800 protocol ip action redirect to egress of interface {d1.ifindex}"
    assert view.tc(d2.ifindex, "egress") == ()
    assert view.bpf_attached(d0.ifindex) == ()
