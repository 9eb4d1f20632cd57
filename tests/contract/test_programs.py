"""Questions that people put to hosts whose rules a program made (``tests/kernel/programs``), and how sure the answers are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pktdiag.explain.causes.words import comment_of
from tests.kernel.host import restore_text
from tests.kernel.programs import rules_of

from .lab import Lab, run

pytestmark = pytest.mark.root


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """pod (10.1.0.2) --- a0 node a1 --- far (10.2.0.2); the node has the rules of the test's program."""
    made = Lab("prog")
    try:
        made.netns("pod", "node", "far")
        made.wire("node", "a0", "pod", "eth0")
        made.wire("node", "a1", "far", "eth0")
        made.sh("node", "ip a add 10.1.0.1/24 dev a0; ip a add 10.2.0.1/24 dev a1; ip r add default via 10.2.0.2; sysctl -qw net.ipv4.ip_forward=1")
        for name, number in (("pod", 1), ("far", 2)):
            made.sh(name, f"ip a add 10.{number}.0.2/24 dev eth0; ip r add default via 10.{number}.0.1")
        items = rules_of(request.param, "node", ("a0", 1), ("a1", 2), ipv6=False)
        native = request.param.endswith(" nft")
        text = "".join(item["line"] + "\n" for item in items) if native else restore_text(items)
        run("nsenter", f"--net=/run/netns/{made.name('node')}", *(("nft", "-f", "-") if native else ("iptables-nft-restore",)), stdin=text)
        yield made
    finally:
        made.close()


def judge(lab: Lab, ns: str, dst: str, proto: str, dport: int = 0) -> dict[str, Any]:
    src = {"pod": "10.1.0.2", "far": "10.2.0.2"}[ns]
    words = (f"{src}:4000", f"{dst}:{dport}/{proto}") if dport else (src, dst)
    return lab.judge(ns, words, {"how": "socket", "ns": ns, "dst": dst, "sport": 4000 if dport else 0, "dport": dport, "proto": proto})


@pytest.mark.parametrize("lab", ["kube-proxy nft"], indirect=True)
def test_a_map_of_services_is_no_matter_for_a_ping(lab: Lab) -> None:
    """Its maps are asked with what stands where a port would: the checksum. No service is one of ICMP."""
    judge(lab, "pod", "10.2.0.2", "icmp")
    elements = ", ".join(f"10.2.{number >> 8}.{number & 255} . {'udp' if number & 1 else 'tcp'} . 80 : goto reject-chain" for number in range(2000))
    lab.sh("node", f"nft add element ip kube-proxy no-endpoint-services '{{ {elements} }}'")
    judge(lab, "pod", "10.2.0.2", "icmp")
    lab.sh("node", "nft add element ip kube-proxy no-endpoint-services '{ 10.2.0.2 . icmp . 8080 : goto reject-chain }'")
    conditions = [outcome["condition"] for outcome in lab.ask("pod", "10.2.0.2")["request"]["outcomes"]]
    assert len(conditions) == 2 and all("the ICMP checksum makes it element 10.2.0.2 . icmp . 8080 : goto reject-chain of map no-endpoint-services" in each for each in conditions)


@pytest.mark.parametrize("lab", ["kube-proxy nft"], indirect=True)
def test_a_service_has_as_many_ways_as_endpoints(lab: Lab) -> None:
    answer = lab.ask("pod", "203.0.113.9:80")
    assert answer["verdict"] == "depends"  # the first endpoint is the one that asks
    assert [(outcome["condition"], outcome["receiver"] and outcome["receiver"]["netns"], outcome["drop"]["netns"])
            for outcome in answer["request"]["outcomes"]] == [
        ("the number that numgen random mod 2 draws is 0", None, lab.places["pod"].id),
        ("not: the number that numgen random mod 2 draws is 0", None, lab.places["far"].id)]


@pytest.mark.parametrize("lab", ["kube-proxy", "kube-proxy nft"], indirect=True)
def test_a_service_without_endpoints(lab: Lab) -> None:
    answer = judge(lab, "pod", "192.0.2.1", "udp", 53)
    assert answer["verdict"] == "rejected" and "default/empty has no endpoints" in answer["summary"]
    assert answer["fixes"][0]["commands"] == ["kubectl -n default get endpoints empty"]


@pytest.mark.parametrize("lab", ["kube-proxy", "kube-proxy nft"], indirect=True)
def test_a_service_without_local_endpoints(lab: Lab) -> None:
    answer = judge(lab, "pod", "10.1.0.1", "tcp", 8000)
    assert answer["verdict"] == "dropped" and "default/local has no local endpoints" in answer["summary"]
    assert "externalTrafficPolicy" in answer["fixes"][0]["why"]


@pytest.mark.parametrize("lab", ["ufw"], indirect=True)
def test_a_limit_on_what_is_logged_leaves_the_verdict_alone(lab: Lab) -> None:
    answer = judge(lab, "far", "10.2.0.1", "tcp", 443)
    assert answer["verdict"] == "dropped" and "ufw" in answer["summary"]


@pytest.mark.parametrize("lab", ["firewalld", "firewalld nft"], indirect=True)
def test_a_zone_that_takes_no_port(lab: Lab) -> None:
    answer = judge(lab, "pod", "10.1.0.1", "tcp", 443)
    assert answer["verdict"] == "rejected" and "firewalld" in answer["summary"]


@pytest.mark.parametrize("lab", ["ufw"], indirect=True)
def test_what_to_tell_ufw(lab: Lab) -> None:
    lab.listen("pod", "tcp", "0.0.0.0", 5000)
    lab.listen("node", "udp", "0.0.0.0", 5001)
    for words, command in ((("10.2.0.2", "10.1.0.2:5000"), "ufw route prepend allow in on a1 out on a0 proto tcp from 10.2.0.2 to 10.1.0.2 port 5000"),
                           (("10.2.0.2", "10.2.0.1:5001/udp"), "ufw prepend allow proto udp from 10.2.0.2 to 10.2.0.1 port 5001")):
        fix = lab.ask("far", *words)["fixes"][0]
        assert fix["verified"] and [each.partition(" ufw ")[2] for each in fix["commands"]] == [command.removeprefix("ufw ")], fix


@pytest.mark.parametrize("lab", ["firewalld", "firewalld nft"], indirect=True)
def test_what_to_tell_firewalld(lab: Lab) -> None:
    lab.listen("node", "tcp", "0.0.0.0", 443)
    lab.listen("pod", "tcp", "0.0.0.0", 8000)
    lab.listen("node", "udp", "0.0.0.0", 5000)
    fix = lab.ask("pod", "10.1.0.1:443")["fixes"][0]
    assert fix["verified"] and fix["commands"][0].endswith(" firewall-cmd --zone=public --add-port=443/tcp")
    fix = lab.ask("far", "10.1.0.2:8000")["fixes"][0]
    assert fix["verified"] and fix["commands"][3].endswith(" firewall-cmd --permanent --policy=from-internal --add-port=8000/tcp")
    fix = lab.ask("far", "10.2.0.1:5000/udp")["fixes"][0]  # its rich rules reject that
    assert fix["verified"] and fix["commands"][0].endswith(
        "firewall-cmd --zone=internal --add-rich-rule='rule priority=\"-100\" family=\"ipv4\" source address=\"10.2.0.2\" "
        "port port=\"5000\" protocol=\"udp\" accept'")


@pytest.mark.parametrize("lab", ["shorewall"], indirect=True)
def test_a_chain_named_after_zones(lab: Lab) -> None:
    answer = judge(lab, "far", "10.2.0.1", "udp", 53)
    assert answer["verdict"] == "rejected" and "Shorewall's" in answer["summary"]


@pytest.mark.parametrize("lab", ["docker"], indirect=True)
def test_docker_from_outside(lab: Lab) -> None:
    """Rule by rule, as each is taken out of the way."""
    for said, away in (("lets nobody reach a container's own address", "iptables-nft -t raw -F"),
                       ("Docker keeps its networks apart", "iptables-nft -F DOCKER-ISOLATION-STAGE-2"),
                       ("does not publish that port", "true")):
        answer = judge(lab, "far", "10.1.0.2", "tcp", 443)
        assert answer["verdict"] == "dropped" and said in answer["summary"], answer["summary"]
        lab.sh("node", away)


@pytest.mark.parametrize("lab", ["docker nft"], indirect=True)
def test_docker_with_nftables(lab: Lab) -> None:
    for said, away in (("lets nobody reach a container's own address", "nft flush chain ip docker-bridges raw-PREROUTING"),
                       ("Docker's rule 4 of filter-forward-in__a0 (nft, table docker-bridges): the container does not publish that port", "true")):
        answer = judge(lab, "far", "10.1.0.2", "tcp", 443)
        assert answer["verdict"] == "dropped" and said in answer["summary"], answer["summary"]
        lab.sh("node", away)
    assert judge(lab, "far", "10.2.0.1", "tcp", 8000)["request"]["packet"]["dst"] == "10.1.0.2"


@pytest.mark.parametrize("lab", ["calico"], indirect=True)
def test_a_workload_that_no_policy_lets_in(lab: Lab) -> None:
    answer = judge(lab, "far", "10.1.0.2", "tcp", 443)
    assert answer["verdict"] == "dropped" and "no policy allows it to the workload behind caliXX" in answer["summary"]
    assert answer["fixes"][0]["commands"] == ["kubectl get networkpolicies -A"]


@pytest.mark.parametrize("lab", ["libvirt"], indirect=True)
def test_a_guest_behind_nat(lab: Lab) -> None:
    answer = judge(lab, "far", "10.1.0.2", "tcp", 443)
    assert answer["verdict"] == "rejected" and "take no connections from outside" in answer["summary"]


@pytest.mark.parametrize("lab", ["fail2ban nft"], indirect=True)
def test_a_ban(lab: Lab) -> None:
    answer = judge(lab, "pod", "10.1.0.1", "tcp", 5000)
    assert answer["verdict"] == "rejected" and "fail2ban has banned 10.1.0.2" in answer["summary"]
    assert answer["fixes"][0]["commands"][0].endswith("fail2ban-client unban 10.1.0.2")


@pytest.mark.parametrize("lab", ["istio"], indirect=True)
def test_whose_socket_it_is(lab: Lab) -> None:
    """A sidecar takes what everybody sends but the proxy itself, which is told by its user or group."""
    words = ("10.2.0.1:4000", "10.2.0.2:80")
    answer = lab.judge("node", words, {"how": "socket", "ns": "node", "dst": "10.2.0.2", "sport": 4000, "dport": 80, "proto": "tcp"})
    assert answer["request"]["drop"]["netns"] == lab.places["node"].id and answer["request"]["packet"]["dport"] == 8000
    assert any("--gid" in text for text in answer["request"]["assumptions"])
    for owner in (("--uid", "1337"), ("--gid", "1337")):
        answer = lab.ask("node", *words, *owner)
        assert answer["request"]["drop"]["netns"] == lab.places["far"].id and not any("--gid" in text for text in answer["request"]["assumptions"])
    assert lab.ask("node", *words, "--uid", "4242")["verdict"] == "depends"  # whose group nobody knows


def test_comments() -> None:
    for rule, said in (('-A X -m comment --comment "cali:abc" -m comment --comment "Drop if no" -j DROP', "Drop if no"), ("-A X -j DROP", ""),
                       ('ip saddr 1.2.3.4 drop comment "a \\"b\\" c"', 'a "b" c'), ("-A X -m comment --comment last", "last"),
                       ('-A X -m comment --comment "a comment inside" -j DROP', "a comment inside"), ('-A X --comment "no end', "no end")):
        assert comment_of(rule) == said, rule
