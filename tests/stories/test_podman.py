"""Story 2 with podman: a published port on netavark/CNI's rules, followed and then sent for real."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .engine import ECHO, HOST_ADDRESS, Machine, busybox_tar, run
from .test_docker import ours, predicted, send_udp, split
from .witness import keep_timestamps_on, watching

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces"),
              pytest.mark.skipif(not shutil.which("podman"), reason="needs podman")]


class PodmanMachine(Machine):
    """The same two machines; the container host runs podman instead of Docker."""

    def podman(self, *words: str) -> str:
        return run("nsenter", f"--net=/run/netns/{self.host}", "podman", "--root", f"{self.work}/root", "--runroot", f"{self.work}/run",
                   "--tmpdir", f"{self.work}/tmp", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs",
                   "--events-backend", "none", *words, env=self.env).strip()

    def pid(self, container: str) -> int:
        return int(self.podman("inspect", "-f", "{{.State.Pid}}", container))

    def close(self) -> None:
        run("nsenter", f"--net=/run/netns/{self.host}", "podman", "--root", f"{self.work}/root", "--runroot", f"{self.work}/run",
            "--tmpdir", f"{self.work}/tmp", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "rm", "-af", "-t", "0", check=False)
        super().close()


@pytest.fixture(scope="module")
def host() -> Iterator[PodmanMachine]:
    made = PodmanMachine("pod", "nft")
    try:
        with keep_timestamps_on():
            made.build()
            busybox_tar(made.work / "image.tar")
            made.podman("import", str(made.work / "image.tar"), "bb")
            yield made
    finally:
        made.close()


def test_a_published_port(host: PodmanMachine) -> None:
    python = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}")
    mounts = [word for path in dict.fromkeys((sys.base_prefix, "/usr", "/lib", "/lib64")) if os.path.exists(path)
              for word in ("-v", f"{path}:{path}:ro")]
    host.podman("run", "-d", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000", "--name", "web", "-p", "8000:8000/udp", *mounts, "localhost/bb", python, "-c", ECHO, "udp", "0.0.0.0", "8000")
    host.wait_for_listener("web", "udp", 8000)
    followed = host.pktdiag("trace", f"ns:{host.outside}:40002", f"{HOST_ADDRESS}:8000/udp")
    assert followed["verdict"] == "delivered", followed["summary"]
    assert followed["request"]["receiver"]["container"] == "web"
    paths = (f"/run/netns/{host.host}", f"/run/netns/{host.outside}", f"/proc/{host.pid('web')}/ns/net")
    with watching(*paths) as witness:
        assert send_udp(paths[1], HOST_ADDRESS, 8000, sport=40002) == b"story"
        seen = witness.sightings(ours(b"story"))
    request, reply = split(seen, seen[0])
    assert request == predicted(followed["request"])
    assert reply == predicted(followed["reply"])
