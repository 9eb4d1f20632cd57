"""Hosts to measure on, each in namespaces of its own, gone afterwards."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.stories.engine import Machine, machine, run


@contextmanager
def docker(containers: int) -> Iterator[Machine]:
    """A real Docker engine with this many containers, c1 and up, each with a published port."""
    with machine(f"bench{containers}", "nft") as made:
        for number in range(1, containers + 1):
            made.docker("run", "-d", "--name", f"c{number}", "-p", f"{8000 + number}:80", "bb", "/bin/sleep", "100000")
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
