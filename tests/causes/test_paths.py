"""Losses that no rule is to blame for: switches, routes, neighbours, sizes, bridges, connection tracking."""

from __future__ import annotations

import shutil
import socket

import pytest

from tests.stories.witness import entered

from .lab import APP, DB, HOST, OUT, WEB, Lab, sport

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("nft") or not shutil.which("conntrack"), reason="needs nft and conntrack")]


@pytest.mark.parametrize("key", ["net.ipv4.ip_forward", "net.ipv4.conf.br0.forwarding"])
def test_forwarding_is_off(lab: Lab, key: str) -> None:
    """6: for the whole host, or on the one interface."""
    lab.sysctl(f"{key}=0")
    lab.serve(lab.out, 5000)
    port = sport()
    answer = lab.why(f"ns:{lab.web}:{port}", f"{OUT}:5000/udp")
    assert key in answer["summary"] and "forward" in answer["summary"]
    lab.judge(lab.web, OUT, 5000, port, answer, "silence")
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.web, OUT, 5000) == "answered"


def test_strict_reverse_path(lab: Lab) -> None:
    """7: the way back to the sender uses another interface; the router that sends it is known, so the packet itself is lost."""
    lab.sh("ip route add 192.0.2.0/24 dev br1; sysctl -qw net.ipv4.conf.eth0.rp_filter=1")
    lab.serve(lab.host, 5000)
    answer = lab.why(f"192.0.2.7:{sport()}", f"{HOST}:5000/udp", "--in", "eth0")
    assert "everse path" in answer["summary"] and "br1" in answer["summary"]
    assert answer["request"]["drop"]["reason"] == "IP_RPFILTER"
    assert any("rp_filter" in command for fix in answer["fixes"] for command in fix["commands"])


def test_reverse_path_already_stops_arp(lab: Lab) -> None:
    """7: nobody knows anybody yet; the ARP request is what the filter drops."""
    lab.sh(f"ip route add {OUT}/32 dev br1; sysctl -qw net.ipv4.conf.eth0.rp_filter=1")
    lab.serve(lab.host, 5000)
    port = sport()
    answer = lab.why(f"ns:{lab.out}:{port}", f"{HOST}:5000/udp")
    assert "everse path" in answer["summary"] and "ARP" in answer["summary"], answer["summary"]
    lab.judge(lab.out, HOST, 5000, port, answer, "silence", wait=4)
    assert any("rp_filter=2" in command for fix in answer["fixes"] for command in fix["commands"])


def test_nobody_answers_arp(lab: Lab) -> None:
    """23: the next hop is not there."""
    port = sport()
    answer = lab.why(f"ns:{lab.out}:{port}", "172.30.0.99:80/tcp")
    assert "172.30.0.99" in answer["summary"] and "ARP" in answer["summary"]
    assert answer["request"]["drop"]["reason"] == "NEIGH_FAILED"


def test_two_networks_claim_the_address(lab: Lab) -> None:
    """22: a container network overlaps the office's; the more specific route wins, or the first."""
    lab.sh("ip address add 10.20.0.1/16 dev br1; ip route add 10.20.0.0/16 via 198.51.100.2 metric 50")
    lab.sh("ip address add 10.20.5.5/32 dev lo", lab.out)
    lab.serve(lab.out, 5000, "10.20.5.5")
    port = sport()
    answer = lab.why(f"host:{port}", "10.20.5.5:5000/udp")
    assert "br1" in answer["summary"] and "eth0" in answer["summary"] and "10.20" in answer["summary"]
    assert answer["request"]["drop"]["reason"] == "NEIGH_FAILED"
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.host, "10.20.5.5", 5000) == "answered"


def test_a_packet_too_big_for_the_way(lab: Lab) -> None:
    """12: don't-fragment, and a smaller MTU behind the router."""
    lab.sh("ip link set eth0 mtu 1400")
    lab.serve(lab.out, 5000)
    port = sport()
    answer = lab.why(f"ns:{lab.web}:{port}", f"{OUT}:5000/udp", "--size", "1500", "--df")
    assert "1500" in answer["summary"] and "1400" in answer["summary"] and "MTU" in answer["summary"]
    lab.judge(lab.web, OUT, 5000, port, answer, "EMSGSIZE", size=1472)
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.web, OUT, 5000, size=1472) in ("answered", "EMSGSIZE")  # the sender remembers the path's MTU


def test_the_icmp_error_is_lost(lab: Lab) -> None:
    """12: and a firewall keeps the sender from learning it."""
    lab.sh("ip link set eth0 mtu 1400; iptables-nft -A OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP")
    lab.serve(lab.out, 5000)
    port = sport()
    answer = lab.why(f"ns:{lab.web}:{port}", f"{OUT}:5000/udp", "--size", "1500", "--df")
    assert "1400" in answer["summary"] and "ICMP" in answer["summary"] and "lost" in answer["summary"]
    lab.judge(lab.web, OUT, 5000, port, answer, "silence", size=1472)


def publish(lab: Lab) -> None:
    """Docker's published port, without the userland proxy."""
    lab.sh("""iptables-nft -t nat -N DOCKER; iptables-nft -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
              iptables-nft -t nat -A DOCKER -p udp --dport 8080 -j DNAT --to-destination 172.30.0.2:80""")


def test_hairpin_is_off(lab: Lab) -> None:
    """13: the frame would have to go back out of the port it came in through."""
    publish(lab)
    lab.sh("iptables-nft -t nat -A POSTROUTING -s 172.30.0.2 -d 172.30.0.2 -p udp --dport 80 -j MASQUERADE")
    lab.serve(lab.web, 80)
    port = sport()
    answer = lab.why(f"ns:{lab.web}:{port}", f"{HOST}:8080/udp")
    assert "hairpin" in answer["summary"] and "v-web" in answer["summary"]
    lab.judge(lab.web, HOST, 8080, port, answer, "silence")
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.web, HOST, 8080) == "answered"


def test_hairpin_without_masquerade(lab: Lab) -> None:
    """13: the other half: its own address as the source."""
    publish(lab)
    lab.sh("bridge link set dev v-web hairpin on")
    lab.serve(lab.web, 80)
    port = sport()
    answer = lab.why(f"ns:{lab.web}:{port}", f"{HOST}:8080/udp")
    assert "masquerade" in answer["summary"] and "own address" in answer["summary"]
    lab.judge(lab.web, HOST, 8080, port, answer, "silence")
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.web, HOST, 8080) == "answered"


def test_both_halves_of_hairpin(lab: Lab) -> None:
    """13: neither; one fix holds both."""
    publish(lab)
    lab.serve(lab.web, 80)
    answer = lab.why(f"ns:{lab.web}", f"{HOST}:8080/udp")
    assert len(answer["fixes"][0]["commands"]) == 2
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.web, HOST, 8080) == "answered"


def test_the_engines_rules_are_gone(lab: Lab) -> None:
    """14: containers run, their bridge is there, the chains are not."""
    lab.sh("ip link set br0 down; ip link set br0 name docker0; ip link set docker0 up")
    lab.serve(lab.web, 8080)
    answer = lab.why(f"ns:{lab.out}", f"{HOST}:8080/udp")
    assert "Docker" in answer["summary"] and "gone" in answer["summary"]
    assert any("systemctl restart docker" in command for fix in answer["fixes"] for command in fix["commands"])


def test_no_masquerade_and_no_way_back(lab: Lab) -> None:
    """20: the far side does not know the container's network."""
    lab.sh("ip route del default", lab.out)
    lab.serve(lab.out, 5000)
    port = sport()
    answer = lab.why(f"ns:{lab.web}:{port}", f"{OUT}:5000/udp")
    assert "masquerade" in answer["summary"].lower() and "no route" in answer["summary"]
    lab.judge(lab.web, OUT, 5000, port, answer, "silence")
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.web, OUT, 5000) == "answered"


def test_a_stale_connection(lab: Lab) -> None:
    """A DNAT rule is new, the connection is not: NAT rules see the first packet only."""
    lab.serve(lab.web, 80)
    port = sport()
    lab.sh("iptables-nft -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")  # connections are tracked from here on
    assert lab.send(lab.out, HOST, 8080, sport=port) == "ECONNREFUSED"
    publish(lab)
    answer = lab.why(f"ns:{lab.out}:{port}", f"{HOST}:8080/udp")
    assert "conntrack" in answer["summary"] or "connection" in answer["summary"]
    assert answer["fixes"][0]["commands"][0].startswith("conntrack -D")
    lab.judge(lab.out, HOST, 8080, port, answer, "ECONNREFUSED")
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.out, HOST, 8080, sport=port) == "answered"


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
def test_a_route_that_refuses(lab: Lab, kind: str) -> None:
    lab.sh(f"ip route add {kind} 172.31.0.2/32")
    lab.serve(lab.app, 5000)
    port = sport()
    answer = lab.why(f"ns:{lab.web}:{port}", f"{APP}:5000/udp")
    assert kind in answer["summary"] and "172.31.0.2/32" in answer["summary"]
    lab.judge(lab.web, APP, 5000, port, answer, "EHOSTUNREACH" if kind == "prohibit" else "silence")
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.web, APP, 5000) == "answered"


def test_a_policy_rule_that_refuses(lab: Lab) -> None:
    lab.sh("ip rule add from 172.30.0.0/24 to 172.31.0.0/24 prohibit priority 100")
    lab.serve(lab.app, 5000)
    port = sport()
    answer = lab.why(f"ns:{lab.web}:{port}", f"{APP}:5000/udp")
    assert "policy rule" in answer["summary"] and "100" in answer["summary"] and "prohibit" in answer["summary"]
    lab.judge(lab.web, APP, 5000, port, answer, "EHOSTUNREACH")
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.web, APP, 5000) == "answered"


@pytest.mark.parametrize(("direction", "ns"), [("fwd", "host"), ("out", "host"), ("out", "web"), ("in", "app")])
def test_an_ipsec_policy_that_blocks(lab: Lab, direction: str, ns: str) -> None:
    where = getattr(lab, ns)
    lab.sh(f"ip xfrm policy add src 172.30.0.0/24 dst {APP}/32 dir {direction} action block priority 7", where)
    lab.serve(lab.app, 5000)
    port = sport()
    answer = lab.why(f"ns:{lab.web}:{port}", f"{APP}:5000/udp")
    assert "IPsec policy" in answer["summary"] and f"dir {direction}" in answer["summary"] and answer["request"]["drop"]["reason"] == "XFRM_POLICY"
    lab.judge(lab.web, APP, 5000, port, answer, "EPERM" if ns == "web" else "silence")
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.web, APP, 5000) == "answered"


def test_no_route_at_all(lab: Lab) -> None:
    port = sport()
    answer = lab.why(f"ns:{lab.web}:{port}", "192.0.2.1:53/udp")
    assert "no route to 192.0.2.1" in answer["summary"]
    lab.judge(lab.web, "192.0.2.1", 53, port, answer, "silence")


def test_only_the_loopback_listens(lab: Lab) -> None:
    """19"""
    lab.serve(lab.web, 80, "127.0.0.1")
    port = sport()
    answer = lab.why(f"ns:{lab.out}:{port}", f"{WEB}:80/udp")
    assert "127.0.0.1:80" in answer["summary"] and "Connection refused" in answer["summary"]
    lab.judge(lab.out, WEB, 80, port, answer, "ECONNREFUSED")


def test_another_port_listens(lab: Lab) -> None:
    """19: the mapping leads to a port nobody listens on."""
    publish(lab)
    lab.serve(lab.web, 8000)
    port = sport()
    answer = lab.why(f"ns:{lab.out}:{port}", f"{HOST}:8080/udp")
    assert "80" in answer["summary"] and lab.web in answer["summary"]
    assert "8000" in " ".join(answer["evidence"])
    assert any("8000" in fix["why"] or "8000" in " ".join(fix["commands"]) for fix in answer["fixes"])
    lab.judge(lab.out, HOST, 8080, port, answer, "ECONNREFUSED")


def test_a_full_backlog(lab: Lab) -> None:
    """The program does not accept."""
    sock = lab.open(lab.web, socket.SOCK_STREAM)
    sock.bind(("0.0.0.0", 80))
    sock.listen(0)
    lab.open(lab.out, socket.SOCK_STREAM).connect((WEB, 80))
    answer = lab.why(f"ns:{lab.out}:{(port := sport())}", f"{WEB}:80/tcp")
    assert "queue" in answer["summary"] and "80" in answer["summary"]
    lab.judge(lab.out, WEB, 80, port, answer, "silence", tcp=True)


def test_everything_works(lab: Lab) -> None:
    """Nothing to explain: no cause is invented."""
    lab.serve(lab.db, 80)
    answer = lab.why(f"ns:{lab.web}", f"{DB}:80/udp")
    assert answer["verdict"] == "delivered" and not answer["fixes"] and not answer["evidence"]


def test_it_leaves_with_an_address_nobody_out_there_knows(lab: Lab) -> None:
    """20: the far side is not on this host, so that only a warning can be given."""
    import fcntl
    import os
    with entered(f"/run/netns/{lab.host}"):
        tun = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tun, 0x400454CA, b"up0".ljust(16, b"\0") + (0x1001).to_bytes(2, "little") + bytes(22))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
    lab.sh("ip address add 203.0.113.1/24 dev up0; ip link set up0 up")
    answer = lab.why(f"ns:{lab.web}", "203.0.113.9:53/udp")
    assert "masquerade" in answer["summary"] and "172.30.0.2" in answer["summary"], answer["summary"]
    for command in answer["fixes"][0]["commands"]:
        lab.sh(command)
    assert "masquerade" not in lab.why(f"ns:{lab.web}", "203.0.113.9:53/udp")["summary"]
    os.close(tun)


def test_a_random_rule_splits_the_answer(lab: Lab) -> None:
    """Both outcomes, each with its condition, and what to do about the bad one."""
    lab.sh("iptables-nft -A FORWARD -m statistic --mode random --probability 0.5 -j DROP")
    lab.serve(lab.app, 5000)
    answer = lab.why(f"ns:{lab.web}", f"{APP}:5000/udp")
    assert answer["verdict"] == "depends"
    assert "delivered" in answer["summary"] and "dropped" in answer["summary"], answer["summary"]
    lab.mend(answer["fixes"][0])
    assert all(lab.send(lab.web, APP, 5000) == "answered" for _ in range(8))
