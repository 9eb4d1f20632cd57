"""Stories 1, 2, 3 and 6 of the design on a real Docker engine, with iptables-nft and with iptables-legacy."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest

from .engine import HOST_ADDRESS, OUTSIDE_ADDRESS, Machine, machine
from .witness import Seen, Witness, entered, keep_timestamps_on, watching

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces"),
              pytest.mark.skipif(not shutil.which("dockerd"), reason="needs dockerd (docker.io)")]


@pytest.fixture(scope="module", params=["nft", "legacy"])
def host(request: pytest.FixtureRequest) -> Iterator[Machine]:
    with keep_timestamps_on(), machine(f"dk{request.param}", request.param) as made:
        yield made


@pytest.fixture
def fresh(host: Machine) -> Iterator[Machine]:
    """Containers and connections of one test are gone before the next."""
    yield host
    for container in host.docker("ps", "-aq").split():
        host.docker("rm", "-f", container)
    for network in host.docker("network", "ls", "-q", "-f", "type=custom").split():
        host.docker("network", "rm", network)
    subprocess.run(["ip", "netns", "exec", host.host, "conntrack", "-F"], capture_output=True)


def path_of(host: Machine, where: str) -> str:
    return f"/run/netns/{where}" if where in (host.host, host.outside) else f"/proc/{host.pid(where)}/ns/net"


def send_udp(path: str, address: str, port: int, *, sport: int, payload: bytes = b"story") -> bytes | OSError | None:
    """Sends one datagram; what came back, or how it was refused."""
    with entered(path):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(2)
        sock.bind(("0.0.0.0", sport))
        sock.connect((address, port))
        sock.send(payload)
        try:
            return sock.recv(100)
        except TimeoutError:
            return None
        except OSError as error:
            return error


def ours(payload: bytes) -> object:
    return lambda src, dst, proto, body: proto == "udp" and body[8:] == payload


def split(seen: list[Seen], request: Seen) -> tuple[list[Seen], list[Seen]]:
    """The request's sightings and the echo's: the echo comes back the other way."""
    outward = [item for item in seen if item.dst != request.src]
    return outward, [item for item in seen if item.dst == request.src]


def predicted(leg: dict) -> list[Seen]:
    return [Seen(item["netns"], item["device"], item["direction"], item["src"], item["dst"], item["sport"], item["dport"], item["proto"])
            for item in leg["sightings"]]


def assert_counters(leg: dict, witness: Witness, netns: str) -> None:
    moved = witness.moved()[netns]
    for name in leg["drop"]["counters"]:
        assert moved.get(name), (name, moved)


def test_the_unpublished_port_and_its_fix(fresh: Machine) -> None:
    """Story 1, then story 2 with the very command the answer printed."""
    host = fresh
    host.run_echo("xbox", "udp", 8000)
    question = (f"ns:{host.outside}:40001", f"{HOST_ADDRESS}:8000/udp")
    answer = host.pktdiag("why-dropped", *question)
    assert answer["exit"] == 1 and answer["verdict"] == "rejected"
    assert answer["request"]["drop"]["reason"] == "NO_SOCKET"
    assert "UdpNoPorts" in answer["request"]["drop"]["counters"]
    assert "xbox" in answer["summary"] and "8000" in answer["summary"]
    with watching(path_of(host, host.host), path_of(host, host.outside), path_of(host, "xbox")) as witness:
        result = send_udp(path_of(host, host.outside), HOST_ADDRESS, 8000, sport=40001)
        assert isinstance(result, ConnectionRefusedError)
        assert witness.sightings(ours(b"story")) == predicted(answer["request"])
        assert answer["request"]["drop"]["reason"] in witness.reasons()
        assert_counters(answer["request"], witness, host.inode(host.host))

    fix = answer["fixes"][0]
    assert fix["verified"] is True
    for command in fix["commands"]:
        host.tool("sh", "-c", command)
    # The refused datagram left a conntrack entry without NAT; a new source port is a new connection.
    followed = host.pktdiag("trace", f"ns:{host.outside}:40011", question[1])
    assert followed["verdict"] == "delivered" and followed["exit"] == 0, followed["summary"]
    receiver = followed["request"]["receiver"]
    assert receiver["netns"] == host.inode("xbox") and receiver["container"] == "xbox" and receiver["pid"] == host.pid("xbox")
    stages = [step["stage"] for step in followed["request"]["steps"]]
    assert [stage for stage in ("prerouting", "routing", "forward", "bridge", "socket") if stage in stages] == \
        ["prerouting", "routing", "forward", "bridge", "socket"]
    assert_arrives(host, followed, "xbox", 40011, HOST_ADDRESS, 8000)
    for command in fix["commands"]:
        host.tool("sh", "-c", command.replace(" -I ", " -D "))


def assert_arrives(host: Machine, followed: dict, container: str, sport: int, address: str, port: int) -> None:
    """The real packet goes and comes back exactly as predicted."""
    with watching(path_of(host, host.host), path_of(host, host.outside), path_of(host, container)) as witness:
        assert send_udp(path_of(host, host.outside), address, port, sport=sport) == b"story"
        seen = witness.sightings(ours(b"story"))
    request, reply = split(seen, seen[0])
    assert request == predicted(followed["request"])
    assert reply == predicted(followed["reply"])


def test_a_published_port(fresh: Machine) -> None:
    """Story 2 with Docker's own rules."""
    host = fresh
    host.run_echo("web", "udp", 8000, "-p", "8000:8000/udp")
    followed = host.pktdiag("trace", f"ns:{host.outside}:40002", f"{HOST_ADDRESS}:8000/udp")
    assert followed["verdict"] == "delivered", followed["summary"]
    assert followed["request"]["receiver"]["container"] == "web"
    assert_arrives(host, followed, "web", 40002, HOST_ADDRESS, 8000)


def test_the_puzzle(fresh: Machine) -> None:
    """Story 3: a ``socket`` match in front of the DNAT; the application on the host gets the packet while it listens."""
    host = fresh
    host.run_echo("xbox", "udp", 8000)
    dnat = ["iptables", "-t", "nat", "-A", "PREROUTING", "-p", "udp", "-d", HOST_ADDRESS, "--dport", "8000"]
    tail = ["-j", "DNAT", "--to-destination", f"{host.address('xbox')}:8000"]
    host.tool("iptables", "-t", "mangle", "-A", "PREROUTING", "-p", "udp", "--dport", "8000", "-m", "socket", "--nowildcard", "-j", "MARK", "--set-mark", "7")
    host.tool(*dnat, "-m", "mark", "!", "--mark", "7", *tail)
    host.tool("iptables", "-I", "DOCKER-USER", "-j", "ACCEPT")
    try:
        with entered(path_of(host, host.host)):
            application = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        application.bind(("0.0.0.0", 8000))
        application.settimeout(2)
        question = f"{HOST_ADDRESS}:8000/udp"
        listening = host.pktdiag("trace", f"ns:{host.outside}:40003", question)
        assert listening["verdict"] == "delivered", listening["summary"]
        assert listening["request"]["receiver"]["pid"] == os.getpid(), listening["request"]
        with watching(path_of(host, host.host), path_of(host, host.outside)) as witness:
            with entered(path_of(host, host.outside)):
                sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with sender:
                sender.bind(("0.0.0.0", 40003))
                sender.sendto(b"puzzle", (HOST_ADDRESS, 8000))
                assert application.recv(100) == b"puzzle"
            assert witness.sightings(ours(b"puzzle")) == predicted(listening["request"])
        application.close()
        gone = host.pktdiag("trace", f"ns:{host.outside}:40004", question)
        assert gone["verdict"] == "delivered", gone["summary"]
        assert gone["request"]["receiver"]["container"] == "xbox"
        assert_arrives(host, gone, "xbox", 40004, HOST_ADDRESS, 8000)
    finally:
        host.tool("iptables", "-D", "DOCKER-USER", "-j", "ACCEPT")
        host.tool("iptables", "-t", "nat", "-D", *dnat[4:], "-m", "mark", "!", "--mark", "7", *tail)
        host.tool("iptables", "-t", "mangle", "-F", "PREROUTING")


def test_two_containers_on_a_network_of_their_own(fresh: Machine) -> None:
    """Story 6: names and ports to process, and the tcpdump commands for the bridge and for inside the container."""
    host = fresh
    host.docker("network", "create", "pair")
    host.run_echo("echo", "tcp", 9000, "--network", "pair")
    host.docker("run", "-d", "--name", "client", "--network", "pair", "bb", "/bin/sleep", "1000")
    followed = host.pktdiag("trace", "client:40005", "echo:9000")
    assert followed["verdict"] == "delivered", followed["summary"]
    receiver = followed["request"]["receiver"]
    assert receiver["container"] == "echo" and receiver["pid"] == host.pid("echo") and "9000" in receiver["socket"]
    with watching(path_of(host, host.host), path_of(host, "client"), path_of(host, "echo")) as witness:
        with entered(path_of(host, "client")):
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with sock:
            sock.settimeout(5)
            sock.bind(("0.0.0.0", 40005))
            sock.connect((host.address("echo", "pair"), 9000))
            sock.sendall(b"hello")
            assert sock.recv(100) == b"hello"
        syn = witness.sightings(lambda src, dst, proto, body: proto == "tcp" and body[13] & 0x12 == 2)
        assert syn == predicted(followed["request"])

def test_outside_address_is_the_containers_way_out(fresh: Machine) -> None:
    """A container's packet to the outside is masqueraded, and the answer finds its way home."""
    host = fresh
    host.docker("run", "-d", "--name", "inner", "bb", "/bin/sleep", "1000")
    with entered(path_of(host, host.outside)):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((OUTSIDE_ADDRESS, 5000))
    with server:
        server.settimeout(2)
        followed = host.pktdiag("trace", "inner:40006", f"{OUTSIDE_ADDRESS}:5000/udp")
        assert followed["verdict"] == "delivered", followed["summary"]
        assert followed["request"]["packet"]["src"] == HOST_ADDRESS
        with watching(path_of(host, host.host), path_of(host, host.outside), path_of(host, "inner")) as witness:
            with entered(path_of(host, "inner")):
                sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with sock:
                sock.settimeout(2)
                sock.bind(("0.0.0.0", 40006))
                sock.sendto(b"story", (OUTSIDE_ADDRESS, 5000))
                data, peer = server.recvfrom(100)
                assert data == b"story" and peer[0] == HOST_ADDRESS
            assert witness.sightings(ours(b"story")) == predicted(followed["request"])
