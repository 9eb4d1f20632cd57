"""Hosts to measure on, each in namespaces of its own, gone afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.stories.engine import Machine, machine, run


@contextmanager
def docker(containers: int) -> Iterator[Machine]:
    """A real Docker engine with this many containers, c1 and up, each with a published port."""
    with machine(f"bench{containers}", "nft") as made:
        for number in range(1, containers + 1):
            made.docker("run", "-d", "--name", f"c{number}", "-p", f"{8000 + number}:80", "bb", "/bin/sleep", "1000")
        yield made


@contextmanager
def namespace(name: str) -> Iterator[str]:
    """A namespace with 192.0.2.1/24 on eth0, cabled to another one with 192.0.2.9."""
    netns = f"pdb-{name}-{os.getpid()}"
    outside = f"{netns}-out"
    try:
        for made in (netns, outside):
            run("ip", "netns", "add", made)
        run("ip", "-n", netns, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", outside)
        for made, address in ((netns, "192.0.2.1"), (outside, "192.0.2.9")):
            batch("-n", made, lines=["link set lo up", f"address add {address}/24 dev eth0", "link set eth0 up"])
        yield netns
    finally:
        for made in (netns, outside):
            run("ip", "netns", "delete", made, check=False)


def batch(*options: str, lines: list[str]) -> None:
    done = subprocess.run(["ip", *options, "-batch", "-"], input="\n".join(lines), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:500]


def feed(netns: str, tool: str, *words: str, text: str) -> None:
    done = subprocess.run(["ip", "netns", "exec", netns, tool, *words], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:500]


def kube_proxy(services: int) -> str:
    """iptables-restore input as kube-proxy writes it: a chain per service, and one per endpoint; four rules for each pair of
    chains in the long run, in 2 * ``services`` chains."""
    chains, rules = [":KUBE-SERVICES - [0:0]", ":KUBE-MARK-MASQ - [0:0]", ":KUBE-POSTROUTING - [0:0]"], []
    rules += ["-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES",
              "-A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES",
              "-A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING",
              "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
              "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN", "-A KUBE-POSTROUTING -j MASQUERADE --random-fully"]
    for number in range(services):
        service, endpoint = f"KUBE-SVC-{number:016X}", f"KUBE-SEP-{number:016X}"
        address, pod = f"10.96.{number >> 8}.{number & 255}", f"10.244.{number >> 8}.{number & 255}"
        name = f"default/service-{number}"
        chains += [f":{service} - [0:0]", f":{endpoint} - [0:0]"]
        rules += [
            f"-A KUBE-SERVICES -d {address}/32 -p tcp -m comment --comment \"{name} cluster IP\" -m tcp --dport 80 -j {service}",
            f"-A {service} ! -s 10.244.0.0/16 -d {address}/32 -p tcp -m comment --comment \"{name} cluster IP\" -m tcp --dport 80 -j KUBE-MARK-MASQ",
            f"-A {service} -m comment --comment \"{name} -> {pod}:8080\" -m statistic --mode random --probability 0.50000000000 -j {endpoint}",
            f"-A {service} -m comment --comment \"{name} -> {pod}:8080\" -j {endpoint}",
            f"-A {endpoint} -s {pod}/32 -m comment --comment \"{name}\" -j KUBE-MARK-MASQ",
            f"-A {endpoint} -p tcp -m comment --comment \"{name}\" -m tcp -j DNAT --to-destination {pod}:8080",
            f"-A {service} -s 10.245.0.0/16 -m comment --comment \"{name} never\" -j RETURN",
            f"-A {endpoint} -s 10.245.0.0/16 -m comment --comment \"{name} never\" -j RETURN",
        ]
    return "\n".join(["*nat", *chains, *rules, "COMMIT", ""])


def containers_by_hand(netns: str, count: int, folder: Path, pids: list[int]) -> None:
    """A Docker-like host without Docker: for each container a namespace held by a process and mounted as an engine
    mounts it, a veth pair into the bridge, a DNAT rule. ``pids`` gets the processes, to be ended."""
    for _ in range(count):
        pids.append(subprocess.Popen(["unshare", "--net", "sleep", "100000"], start_new_session=True, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)
    for pid in pids:
        while os.readlink(f"/proc/{pid}/exe").endswith("unshare"):
            time.sleep(0.001)
    batch("-n", netns, lines=["link add docker0 type bridge", "address add 172.17.0.1/16 dev docker0", "link set docker0 up"])
    outer = []
    for number, pid in enumerate(pids):
        outer += [f"link add veth{number} type veth peer name eth0 netns {pid}", f"link set veth{number} master docker0 up"]
    batch("-n", netns, lines=outer)
    # They have talked to each other, as on a host that has been up for a while: neighbours and ports are known.
    macs = {number: f"02:42:ac:11:{(number + 2) >> 8:02x}:{(number + 2) & 255:02x}" for number in range(count)}
    batch("-n", netns, lines=[f"neigh replace {address_of(n)} lladdr {macs[n]} dev docker0 nud permanent" for n in macs])
    feed(netns, "bridge", "-batch", "-", text="\n".join(f"fdb add {macs[n]} dev veth{n} master static" for n in macs))
    gateway = run("ip", "netns", "exec", netns, "cat", "/sys/class/net/docker0/address").strip()
    for number, pid in enumerate(pids):
        mount = folder / f"c{number}"
        mount.touch()
        run("mount", "--bind", f"/proc/{pid}/ns/net", str(mount))
        run("nsenter", f"--net={mount}", "ip", "-batch", "-", input="\n".join((
            "link set lo up", f"link set eth0 address {macs[number]}", f"address add {address_of(number)}/16 dev eth0", "link set eth0 up",
            "route add default via 172.17.0.1", f"neigh add 172.17.0.1 lladdr {gateway} dev eth0 nud permanent",
            *(f"neigh add {address_of(n)} lladdr {macs[n]} dev eth0 nud permanent" for n in range(min(count, 10)) if n != number))))
    rules = [f"-A DOCKER ! -i docker0 -p tcp -m tcp --dport {10000 + number} -j DNAT --to-destination {address_of(number)}:80"
             for number in range(count)]
    masq = [f"-A POSTROUTING -s {address_of(n)}/32 -d {address_of(n)}/32 -p tcp -m tcp --dport 80 -j MASQUERADE" for n in range(count)]
    allow = [f"-A DOCKER -d {address_of(n)}/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT" for n in range(count)]
    feed(netns, "iptables-nft-restore", text="\n".join([
        "*nat", ":DOCKER - [0:0]", "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        "-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
        "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", *masq, *rules, "COMMIT",
        "*filter", ":FORWARD DROP [0:0]", ":DOCKER - [0:0]",
        "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A FORWARD -o docker0 -j DOCKER",
        "-A FORWARD -i docker0 -j ACCEPT", *allow, "COMMIT", ""]))
    run("ip", "netns", "exec", netns, "sysctl", "-qw", "net.ipv4.ip_forward=1")


def address_of(number: int) -> str:
    return f"172.17.{(number + 2) >> 8}.{(number + 2) & 255}"


@contextmanager
def crowd(count: int) -> Iterator[tuple[str, list[int]]]:
    """(host namespace, a process of each container) of a Docker-like host with ``count`` containers."""
    folder = Path(tempfile.mkdtemp(prefix="pdb-netns-"))
    pids: list[int] = []
    with namespace(f"crowd{count}") as netns:
        try:
            containers_by_hand(netns, count, folder, pids)
            yield netns, pids
        finally:
            for mount in folder.iterdir():
                run("umount", "-l", str(mount), check=False)  # a copy may live on in a newborn mount namespace
                mount.unlink()
            folder.rmdir()
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
