"""Rules and policies that say no, with the tools that make them, and the commands that mend it."""

from __future__ import annotations

import shutil
import socket
import time

import pytest

from .lab import APP, DB, HOST, OUT, WEB, Lab, sport

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("nft") or not shutil.which("iptables-legacy"), reason="needs nft and iptables")]

# Docker's own, as far as it matters: a FORWARD policy DROP, accepts for its own bridge, the user's chain first.
DOCKER = """
{tool} -P FORWARD DROP
{tool} -N DOCKER-USER
{tool} -N DOCKER
{tool} -A FORWARD -j DOCKER-USER
{tool} -A FORWARD -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
{tool} -A FORWARD -o br0 -j DOCKER
{tool} -A FORWARD -i br0 ! -o br0 -j ACCEPT
{tool} -A FORWARD -i br0 -o br0 -j ACCEPT
{tool} -A DOCKER-USER -j RETURN
"""


@pytest.mark.parametrize("tool", ["iptables-nft", "iptables-legacy"])
def test_another_bridge_behind_dockers_forward_policy(lab: Lab, tool: str) -> None:
    """1: lxdbr0 (here br1) has no accept, and Docker's policy is DROP."""
    lab.sh(DOCKER.format(tool=tool))
    lab.serve(lab.out, 5000)
    port = sport()
    answer = lab.why(f"ns:{lab.app}:{port}", f"{OUT}:5000/udp")
    assert answer["verdict"] == "dropped"
    assert "Docker" in answer["summary"] and "br1" in answer["summary"] and "FORWARD" in answer["summary"]
    lab.judge(lab.app, OUT, 5000, port, answer, "silence")
    assert "DOCKER-USER" in answer["fixes"][0]["commands"][0]
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.app, OUT, 5000) == "answered"


def test_an_answer_that_the_policy_drops(lab: Lab) -> None:
    """The request is accepted by a rule, its answer by none."""
    lab.nft("table inet fw { chain forwarded { type filter hook forward priority 0; policy drop; iifname \"br1\" accept; }; }")
    lab.serve(lab.out, 5000)
    port = sport()
    answer = lab.why(f"ns:{lab.app}:{port}", f"{OUT}:5000/udp")
    assert answer["verdict"] == "dropped" and "answer" in answer["summary"]
    lab.judge(lab.app, OUT, 5000, port, answer, "silence")
    assert "established" in answer["fixes"][0]["commands"][0]
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.app, OUT, 5000) == "answered"


def test_two_backends_hold_rules(lab: Lab) -> None:
    """3: iptables (nft) shows an accept; the forgotten legacy half drops."""
    lab.sh("iptables-nft -A FORWARD -j ACCEPT; iptables-legacy -A FORWARD -d 172.30.0.0/24 -j DROP")
    lab.serve(lab.web, 8000)
    port = sport()
    answer = lab.why(f"ns:{lab.out}:{port}", f"{WEB}:8000/udp")
    assert "iptables-legacy" in answer["summary"] and "nftables" in answer["summary"]
    lab.judge(lab.out, WEB, 8000, port, answer, "silence")
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.out, WEB, 8000) == "answered"


def test_bridged_frames_meet_the_forward_chain(lab: Lab) -> None:
    """4: br_netfilter."""
    lab.sysctl("net.bridge.bridge-nf-call-iptables=1")
    lab.sh("iptables-nft -P FORWARD DROP")
    lab.serve(lab.db, 5432)
    port = sport()
    answer = lab.why(f"ns:{lab.web}:{port}", f"{DB}:5432/udp")
    assert "bridge-nf-call-iptables" in answer["summary"]
    lab.judge(lab.web, DB, 5432, port, answer, "silence")
    for fix in answer["fixes"]:
        assert fix["verified"], fix
    assert any("-i br0 -o br0" in fix["commands"][0] for fix in answer["fixes"])
    lab.mend(answer["fixes"][-1])
    assert lab.send(lab.web, DB, 5432) == "answered"


def test_invalid_connections_are_dropped(lab: Lab) -> None:
    """9: a segment of a connection that this host never saw, and a rule against INVALID."""
    lab.sysctl("net.netfilter.nf_conntrack_tcp_loose=0")
    lab.nft("table inet fw { chain forwarded { type filter hook forward priority 0; ct state invalid counter drop; }; }")
    answer = lab.why(f"ns:{lab.out}:40000", f"{WEB}:80/tcp", "--tcp-flags", "ack")
    assert "INVALID" in answer["summary"] and "connection" in answer["summary"]


def test_a_firewalls_prohibition(lab: Lab) -> None:
    """16: "No route to host" although the route is there."""
    lab.sh("iptables-nft -A INPUT -p udp --dport 53 -j ACCEPT; iptables-nft -A INPUT -j REJECT --reject-with icmp-host-prohibited")
    lab.serve(lab.host, 8080)
    port = sport()
    answer = lab.why(f"ns:{lab.out}:{port}", f"{HOST}:8080/udp")
    assert answer["verdict"] == "rejected" and "No route to host" in answer["summary"]
    lab.judge(lab.out, HOST, 8080, port, answer, "EHOSTUNREACH")
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.out, HOST, 8080) == "answered"


@pytest.mark.parametrize("tool", ["iptables-nft", "iptables-legacy"])
def test_docker_keeps_networks_apart(lab: Lab, tool: str) -> None:
    """18: DOCKER-ISOLATION."""
    lab.sh(DOCKER.format(tool=tool) + f"""
        {tool} -N DOCKER-ISOLATION-STAGE-1; {tool} -N DOCKER-ISOLATION-STAGE-2
        {tool} -I FORWARD 2 -j DOCKER-ISOLATION-STAGE-1
        {tool} -A DOCKER-ISOLATION-STAGE-1 -i br0 ! -o br0 -j DOCKER-ISOLATION-STAGE-2
        {tool} -A DOCKER-ISOLATION-STAGE-1 -i br1 ! -o br1 -j DOCKER-ISOLATION-STAGE-2
        {tool} -A DOCKER-ISOLATION-STAGE-2 -o br0 -j DROP
        {tool} -A DOCKER-ISOLATION-STAGE-2 -o br1 -j DROP""")
    lab.serve(lab.app, 9000)
    port = sport()
    answer = lab.why(f"ns:{lab.web}:{port}", f"{APP}:9000/udp")
    assert "Docker" in answer["summary"] and "networks" in answer["summary"]
    lab.judge(lab.web, APP, 9000, port, answer, "silence")
    assert any("network" in fix["why"] for fix in answer["fixes"])
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.web, APP, 9000) == "answered"


def test_a_service_without_endpoints(lab: Lab) -> None:
    """25: kube-proxy's own comment is the explanation."""
    lab.sh("""iptables-nft -N KUBE-SERVICES; iptables-nft -A OUTPUT -j KUBE-SERVICES
              iptables-nft -A KUBE-SERVICES -d 10.96.0.10/32 -p udp --dport 53 -m comment --comment "kube-system/kube-dns:dns has no endpoints" \\
                  -j REJECT --reject-with icmp-port-unreachable
              ip route add default via 198.51.100.2""")
    port = sport()
    answer = lab.why(f"host:{port}", "10.96.0.10:53/udp")
    assert "kube-system/kube-dns:dns has no endpoints" in answer["summary"] and "kube-proxy" in answer["summary"]
    assert answer["request"]["drop"]["reason"] == "NETFILTER_DROP"
    assert lab.send(lab.host, "10.96.0.10", 53, sport=port) in ("ECONNREFUSED", "EPERM")


def test_a_reset_by_rule(lab: Lab) -> None:
    """nft's own reject, TCP, IPv4."""
    lab.nft("table inet fw { chain incoming { type filter hook input priority 0; tcp dport 80 counter reject with tcp reset comment \"closed for repair\"; }; }")
    lab.serve(lab.host, 80, kind=socket.SOCK_STREAM)
    port = sport()
    answer = lab.why(f"ns:{lab.out}:{port}", f"{HOST}:80/tcp")
    assert "closed for repair" in answer["summary"] and "Connection refused" in answer["summary"]
    lab.judge(lab.out, HOST, 80, port, answer, "ECONNREFUSED", tcp=True)
    lab.mend(answer["fixes"][0])
    assert lab.send(lab.out, HOST, 80, tcp=True) == "answered"


@pytest.mark.parametrize("tool", ["ip6tables-nft", "ip6tables-legacy", "nft"])
def test_the_same_in_ipv6(lab: Lab, tool: str) -> None:
    """Commands and what-if rules of both families."""
    lab.sysctl("net.ipv6.conf.all.forwarding=1")
    for ns, device, address in ((lab.host, "br0", "2001:db8:0:1::1"), (lab.host, "br1", "2001:db8:0:2::1"), (lab.web, "eth0", "2001:db8:0:1::2"),
                                (lab.app, "eth0", "2001:db8:0:2::2")):
        lab.sh(f"ip address add {address}/64 dev {device} nodad", ns)
    lab.sh("ip -6 route add default via 2001:db8:0:1::1", lab.web)
    lab.sh("ip -6 route add default via 2001:db8:0:2::1", lab.app)
    if tool == "nft":
        lab.nft("table inet fw { chain forwarded { type filter hook forward priority 0; policy drop; }; }")
    else:
        lab.sh(f"{tool} -P FORWARD DROP")
    deadline = time.monotonic() + 10
    while any(lab.sh("ip -6 address show tentative", ns).strip() for ns in (lab.host, lab.web, lab.app)):  # duplicate address detection
        assert time.monotonic() < deadline
        time.sleep(0.05)
    question = (f"ns:{lab.web}", "[2001:db8:0:2::2]/icmp")
    answer = lab.why(*question)
    assert answer["verdict"] == "dropped" and "policy DROP" in answer["summary"]
    for fix in answer["fixes"]:
        lab.mend(fix)
    assert lab.why(*question)["verdict"] == "delivered"
    lab.sh("ping -6 -c 1 -W 2 2001:db8:0:2::2", lab.web)
