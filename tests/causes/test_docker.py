"""Where the engine itself matters: its rules flushed under its running containers."""

from __future__ import annotations

import os
import shutil
import socket

import pytest

from tests.stories.engine import HOST_ADDRESS, OUTSIDE_ADDRESS, machine
from tests.stories.witness import entered

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces"),
              pytest.mark.skipif(not shutil.which("dockerd"), reason="needs dockerd (docker.io)")]


def test_a_flush_takes_dockers_rules_away() -> None:
    """14: `nft -f` of a ruleset that begins with `flush ruleset`; both directions are dead."""
    with machine("dkflush", "nft") as host:
        host.run_echo("web", "udp", 8000, "-p", "8000:8000/udp")
        question = (f"ns:{host.outside}:40001", f"{HOST_ADDRESS}:8000/udp")
        assert host.pktdiag("why-dropped", *question)["verdict"] == "delivered"
        host.tool("nft", "flush", "ruleset")
        inbound = host.pktdiag("why-dropped", *question)
        # dockerd holds the published port with a socket nobody reads: the kernel does deliver.
        assert inbound["request"]["receiver"]["process"] == "dockerd"
        assert "reserves" in inbound["summary"] and "Docker's chains are gone" in inbound["summary"] and "docker0" in inbound["summary"]
        assert inbound["fixes"][0]["commands"] == ["systemctl restart docker"]
        host.inside(host.outside, "ip", "route", "del", "default")
        with entered(f"/run/netns/{host.outside}"):
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((OUTSIDE_ADDRESS, 53))
        outbound = host.pktdiag("why-dropped", "web:40002", f"{OUTSIDE_ADDRESS}:53/udp")
        assert "without a masquerade" in outbound["summary"] and "Docker's chains are gone" in outbound["summary"], outbound["summary"]
        server.close()
