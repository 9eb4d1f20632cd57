"""The picture of a host: how its interfaces are joined, and what is marked as broken where it stands."""

from __future__ import annotations

import json
import sys
import threading
import time

import pytest

from pktdiag.collect.live import LiveHost
from pktdiag.explain import topology
from pktdiag.explain.wiring import Wiring, segments
from pktdiag.model.host import Link
from pktdiag.model.topology import Topology, TopologyLink, TopologyNamespace
from pktdiag.render.topology import render

from .conftest import Nets, run


def picture() -> Topology:
    with LiveHost() as host:
        return topology.build(host)


class Picture:
    """The part of the host that a test built."""

    def __init__(self, nets: Nets) -> None:
        self.nets, self.whole = nets, picture()
        self.by_id = {namespace.id: namespace for namespace in self.whole.namespaces}

    def of(self, name: str) -> TopologyNamespace:
        return self.by_id[f"net:[{self.nets.inode(name)}]"]

    def link(self, name: str, device: str) -> TopologyLink:
        return next(link for link in self.of(name).links if link.name == device)

    def codes(self, name: str, device: str) -> list[str]:
        return [problem.code for problem in self.link(name, device).problems]

    def all_codes(self, *names: str) -> set[str]:
        return {problem.code for name in names for link in self.of(name).links for problem in link.problems}


def veth(nets: Nets, left: str, left_device: str, right: str, right_device: str) -> None:
    nets.ip(left, f"link add {left_device} type veth peer name {right_device} netns {{{right}}}")


@pytest.fixture
def bridged(nets: Nets) -> Nets:
    """A "container" on a bridge of a "host", as every engine wires it: nothing is wrong with it."""
    nets.add("host", "box", "box2")
    nets.ip("host", "link set lo up", "link add br0 type bridge", "address add 198.51.100.1/24 dev br0", "link set br0 up")
    for box, port, address in (("box", "v1", "198.51.100.2/24"), ("box2", "v2", "198.51.100.3/24")):
        veth(nets, "host", port, box, "eth0")
        nets.ip("host", f"link set {port} master br0 up")
        nets.ip(box, "link set lo up", f"address add {address} dev eth0", "link set eth0 up")
    return nets


def test_a_healthy_host_has_no_mark(bridged: Nets) -> None:
    seen = Picture(bridged)
    assert seen.all_codes("host", "box", "box2") == set()
    eth0, port = seen.link("box", "eth0"), seen.link("host", "v1")
    assert eth0.peer == (seen.of("host").id, port.ifindex, "v1") and port.peer == (seen.of("box").id, eth0.ifindex, "eth0")
    assert port.master == "br0" and eth0.addresses[0] == "198.51.100.2/24" and eth0.state == "up"
    assert seen.of("box").names == (bridged["box"],)


def test_a_peer_that_is_down(bridged: Nets) -> None:
    bridged.ip("host", "link set v1 down")
    seen = Picture(bridged)
    assert seen.codes("box", "eth0") == ["peer-down"] and seen.codes("host", "v1") == ["interface-down"]
    problem = seen.link("box", "eth0").problems[0]
    assert problem.text == f"its other end v1 in {bridged['host']} is down"
    assert problem.show == f"ip netns exec {bridged['host']} ip -d link show dev v1" and "v1" in run(*problem.show.split())


def test_an_up_interface_whose_peer_is_in_no_bridge(bridged: Nets) -> None:
    bridged.ip("host", "link set v1 nomaster")
    assert Picture(bridged).codes("box", "eth0") == ["peer-unattached"]


def test_a_routed_peer_needs_no_bridge(bridged: Nets) -> None:
    bridged.ip("host", "link set v1 nomaster", "route add 198.51.100.2/32 dev v1")
    assert Picture(bridged).codes("box", "eth0") == []


def test_a_bridge_that_is_down(bridged: Nets) -> None:
    bridged.ip("host", "link set br0 down")
    assert Picture(bridged).codes("host", "br0") == ["bridge-down"]


def test_a_bridge_without_a_port_that_is_up(bridged: Nets) -> None:
    bridged.ip("host", "link set v1 down", "link set v2 down")
    assert Picture(bridged).codes("host", "br0") == ["bridge-no-carrier"]


def test_sizes_that_differ_along_a_link(bridged: Nets) -> None:
    bridged.ip("box", "link set eth0 mtu 9000")
    seen = Picture(bridged)
    assert seen.codes("box", "eth0") == ["mtu-differs"] and seen.codes("host", "v1") == ["mtu-differs"]
    assert "mtu 9000, but 1500 at its other end v1" in seen.link("box", "eth0").problems[0].text


def test_an_address_twice_on_one_segment(bridged: Nets) -> None:
    bridged.ip("box2", "address add 198.51.100.2/24 dev eth0")
    seen = Picture(bridged)
    assert seen.codes("box", "eth0") == ["address-twice"] and seen.codes("box2", "eth0") == ["address-twice"]
    assert seen.link("box", "eth0").problems[0].text == (
        f"198.51.100.2 also belongs to eth0 in {bridged['box2']} on the same segment")


def test_the_same_address_on_two_separate_networks_is_normal(bridged: Nets) -> None:
    bridged.add("elsewhere")
    veth(bridged, "elsewhere", "eth0", "elsewhere", "eth1")
    bridged.ip("elsewhere", "link set lo up", "link set eth0 up", "link set eth1 up", "address add 198.51.100.2/24 dev eth0")
    seen = Picture(bridged)
    assert seen.codes("box", "eth0") == []


@pytest.mark.parametrize(("filtering", "joined"), [(0, True), (1, False)])
def test_a_vlan_aware_bridge_keeps_its_ports_apart(filtering: int, joined: bool) -> None:
    """Not with the running kernel: Linux without CONFIG_BRIDGE_VLAN_FILTERING refuses it."""
    def link(ifindex: int, kind: str, master: int | None) -> Link:
        return Link(ifindex, f"if{ifindex}", kind, 1, 1500, b"", 1, 6, master, None, "", {"vlan_filtering": filtering}, {}, "",
                    None, 0, True, "", 0)

    links = {("net:[1]", 1): link(1, "bridge", None), ("net:[1]", 2): link(2, "veth", 1), ("net:[1]", 3): link(3, "veth", 1)}
    segment = segments(Wiring({}, links, {}, {}, frozenset(), {}))
    assert (segment["net:[1]", 2] == segment["net:[1]", 3]) is joined


def test_an_address_twice_in_one_namespace(bridged: Nets) -> None:
    bridged.ip("host", "link add br1 type bridge", "link set br1 up", "address add 198.51.100.1/24 dev br1")
    assert Picture(bridged).codes("host", "br1") == ["address-twice"]


def test_a_peer_in_a_namespace_nobody_can_find(bridged: Nets) -> None:
    """Its last name is gone and no process is left: only the veth pair and a socket keep it."""
    script = """
import ctypes, os, socket, sys
kept = socket.socket()
target = os.open(sys.argv[1], os.O_RDONLY)
ctypes.CDLL(None).setns(target, 0x40000000)
os.close(target)
print("ready", flush=True)
sys.stdin.read()
"""
    bridged.python("box", script, f"/run/netns/{bridged['host']}")
    bridged.delete("box")
    seen = Picture(bridged)
    assert seen.codes("host", "v1") == ["peer-hidden"]


def test_stacked_devices_know_what_is_below_them_also_elsewhere(bridged: Nets) -> None:
    bridged.add("inner")
    wanted = {"mac0": "link add link br0 name mac0 netns {inner} type macvlan mode bridge",
              "vl0": "link add link br0 name vl0 netns {inner} type vlan id 7",
              "vx0": "link add name vx0 netns {inner} type vxlan id 42 dev br0 dstport 4789 remote 203.0.113.9"}
    made = []
    for device, command in wanted.items():
        try:
            bridged.ip("host", command)
            made.append(device)
        except AssertionError as error:  # a kernel built without that kind of device
            assert "nknown device type" in str(error) or "not supported" in str(error)
    seen = Picture(bridged)
    for device in made:
        link = seen.link("inner", device)
        assert link.parent is not None and link.parent.name == "br0" and link.parent.netns == seen.of("host").id, device
    if "vx0" in made:
        assert seen.link("inner", "vx0").details == ("id 42", "remote 203.0.113.9")


def test_a_loopback_that_is_down(nets: Nets) -> None:
    nets.add("bare")
    assert Picture(nets).codes("bare", "lo") == ["loopback-down"]


def test_ports_that_spanning_tree_keeps_closed(bridged: Nets) -> None:
    bridged.ip("host", "link set br0 type bridge stp_state 1", "link set v1 down", "link set v1 up")
    assert Picture(bridged).codes("host", "v1") == ["port-not-forwarding"]


def test_the_tree_at_eighty_columns(bridged: Nets) -> None:
    bridged.ip("host", "link set v1 down")
    text = render(Picture(bridged).whole, "tree", 80, False)
    lines = text.splitlines()
    # A command is never broken apart, so only those may be longer.
    assert all(len(line) <= 80 for line in lines if "→" not in line and " ip " not in line)
    start = next(i for i, line in enumerate(lines) if line.startswith(bridged["host"]))
    name, box, box2 = bridged["host"], bridged["box"], bridged["box2"]
    inode = bridged.inode("host")
    assert "\n".join(lines[start:start + 9]) == f"""\
{name}  net:[{inode}]
├─ lo     up    mtu 65536 127.0.0.1/8  ::1/128
└─ br0    up    mtu 1500  bridge  198.51.100.1/24
   ├─ v1  DOWN  mtu 1500  ⇄ {box}:eth0
   │      ✗ down: nothing passes it
   │        → ip netns exec {name} ip -d link show dev v1
   └─ v2  up    mtu 1500  ⇄ {box2}:eth0

{box}  net:[{bridged.inode('box')}]"""


def test_json_keeps_the_contract(bridged: Nets) -> None:
    document = json.loads(render(Picture(bridged).whole, "json"))
    assert document["schema"] == "pktdiag.topology/1"
    box = next(entry for entry in document["namespaces"] if bridged["box"] in entry["names"])
    assert set(box) >= {"id", "names", "pids", "container", "links"}
    eth0 = next(link for link in box["links"] if link["name"] == "eth0")
    assert eth0["addresses"][0] == "198.51.100.2/24" and eth0["mac"].count(":") == 5 and eth0["up"] is eth0["carrier"] is True
    assert set(eth0["peer"]) == {"netns", "ifindex", "name"} and eth0["master"] is eth0["parent"] is eth0["xdp"] is None


def test_dot_and_mermaid_join_what_is_joined(bridged: Nets) -> None:
    whole = Picture(bridged).whole
    ours = {f"net:[{bridged.inode(name)}]" for name in ("host", "box", "box2")}
    whole = whole._replace(namespaces=tuple(namespace for namespace in whole.namespaces if namespace.id in ours))
    dot, mermaid = render(whole, "dot"), render(whole, "mermaid")
    assert dot.count(" [penwidth=2];") == mermaid.count(" === ") == 2
    assert dot.count("{") == dot.count("}") == 4 and mermaid.count("subgraph") == mermaid.count("\n  end") == 3


def test_hostile_interface_and_namespace_names(nets: Nets) -> None:
    nets.add("\x1b[31m[red]")
    name, device = nets["\x1b[31m[red]"], '"];x\x1b[2J'
    run("ip", "-n", name, "link", "add", device, "type", "bridge")
    seen = Picture(nets)
    for fmt in ("tree", "dot", "mermaid", "json"):
        text = render(seen.whole, fmt, 80, True)
        stripped = text
        for code in ("0", "1", "2", "31", "32", "33", "36", "1;36", "1;31"):
            stripped = stripped.replace(f"\x1b[{code}m", "")
        assert "\x1b" not in stripped, fmt


def test_three_hundred_namespaces(nets: Nets) -> None:
    names = [f"n{number}" for number in range(300)]
    nets.add("hub", *names)
    lines = ["link add br0 type bridge", "link set br0 up", "link set lo up"]
    for number, name in enumerate(names):
        lines += [f"link add v{number} type veth peer name eth0 netns {{{name}}}", f"link set v{number} master br0 up"]
    nets.ip("hub", *lines)
    started = time.process_time()
    seen = Picture(nets)
    elapsed = time.process_time() - started
    assert all(seen.link("hub", f"v{number}").peer.name == "eth0" for number in range(300))  # type: ignore[union-attr]
    assert all(seen.link(name, "eth0").peer.netns == seen.of("hub").id for name in names)  # type: ignore[union-attr]
    # The processor's time: other labs on the machine may hold the kernel's RTNL lock for long.
    assert elapsed < 3, f"{elapsed:.1f} s"


def test_namespaces_that_vanish_while_they_are_read(nets: Nets) -> None:
    nets.add("stays")
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            run("ip", "-batch", "-", stdin=f"netns add {nets['gone']}\nnetns delete {nets['gone']}\n")

    worker = threading.Thread(target=churn)
    worker.start()
    try:
        for _ in range(10):
            assert Picture(nets).of("stays").links
    finally:
        stop.set()
        worker.join()


def test_without_root_one_s_own_namespace_is_shown_and_the_rest_named(bridged: Nets) -> None:
    code = ("import _ctypes, fcntl, os, unicodedata\n"  # an interpreter below /root cannot be read any more, later
            "from pktdiag.collect import containers, live, live_namespace, namespaces, processes, rtnl_nsid, libc\n"
            "from pktdiag.explain import topology\nfrom pktdiag.render import look, topology as picture, topology_tree\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "print(picture.render(topology.build(live.LiveHost()), 'tree', 80, False))\nos._exit(0)")
    text = run(sys.executable, "-u", "-c", code)
    assert text.startswith("host  net:[") and "├─ lo" in text
    assert f"{bridged['host']}  net:[{bridged.inode('host')}]\n   ! not read: permission denied" in text
    assert "not read: the network namespaces of" in text and "run as root" in " ".join(text.split())  # wherever the line is folded
