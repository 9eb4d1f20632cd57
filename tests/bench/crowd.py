"""A Docker-like host without Docker, with any number of containers, that sees nothing of the machine it is built on: a mount and
a PID namespace of its own. With one /proc for all, the host of ten containers would pay for the thousand of the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.labs import batch, feed, namespace
from tests.bench.measure import ROOT, Place
from tests.stories.engine import run

MOUNTS = Path("/run/docker/netns")


def sender(count: int) -> int:
    """The container that asks: neither the first nor the last in any list."""
    return count * 2 // 5


def receiver(count: int) -> int:
    """The one asked for, whose rules stand in the middle of theirs."""
    return count // 2


def containers_by_hand(netns: str, count: int) -> list[int]:
    """For each container a namespace held by a process and mounted where Docker does it, a veth pair into the bridge, its rules.
    The answer: the processes."""
    pids = []
    for _ in range(count):
        pids.append(subprocess.Popen(["unshare", "--net", "--mount", "sleep", "100000"], start_new_session=True, stdin=subprocess.DEVNULL,
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
        mount = MOUNTS / f"{number:012x}"
        mount.touch()
        run("mount", "--bind", f"/proc/{pid}/ns/net", str(mount))
        run("nsenter", f"--net={mount}", "ip", "-batch", "-", input="\n".join((
            "link set lo up", f"link set eth0 address {macs[number]}", f"address add {address_of(number)}/16 dev eth0", "link set eth0 up",
            "route add default via 172.17.0.1", f"neigh add 172.17.0.1 lladdr {gateway} dev eth0 nud permanent",
            *(f"neigh add {address_of(n)} lladdr {macs[n]} dev eth0 nud permanent" for n in {*range(10), sender(count), receiver(count)} if n != number))))
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
    return pids


def address_of(number: int) -> str:
    return f"172.17.{(number + 2) >> 8}.{(number + 2) & 255}"


@contextmanager
def crowd(count: int) -> Iterator[tuple[Place, list[int]]]:
    """(the host, a process of each container by its number there) of a host with ``count`` containers."""
    keeper = subprocess.Popen(["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", sys.executable, "-m",
                               "tests.bench.crowd", str(count)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert keeper.stdin is not None and keeper.stdout is not None
    try:
        netns, pids = json.loads(keeper.stdout.readline())
        inside = int(Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text())
        yield Place(netns, inside), pids
    finally:
        keeper.stdin.close()  # its end is the end of every process in there, and of every mount
        keeper.stdout.close()
        keeper.wait()


def main(count: int) -> None:
    """Builds one, says so, and keeps it until nobody listens any more."""
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    MOUNTS.mkdir(parents=True)
    with namespace(f"crowd{count}") as netns:
        print(json.dumps((netns, containers_by_hand(netns, count))), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))
