"""Real engines in namespaces of their own, with their state in unusual places: names, ids, ports without any tool."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from stories.engine import Machine, busybox_tar, machine

from pktdiag.collect import containers, namespaces
from pktdiag.collect.containers import Attachment, PublishedPort
from pktdiag.collect.live import LiveHost
from pktdiag.explain import topology
from pktdiag.render.topology import render

from .conftest import run

ID_LENGTH = 64


@pytest.fixture(scope="module")
def docker() -> Iterator[Machine]:
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("needs root and Docker (apt install docker.io)")
    with machine(f"disc{os.getpid()}", "nft") as made:
        made.docker("run", "-d", "--name", "web", "-p", "8080:80", "-p", "5353:53/udp", "bb", "sleep", "1000")
        made.docker("run", "-d", "--name", "client", "bb", "sleep", "1000")
        made.docker("run", "-d", "--name", "sidecar", "--network", "container:web", "bb", "sleep", "1000")
        made.docker("run", "-d", "--name", "on-host", "--network", "host", "bb", "sleep", "1000")
        made.docker("create", "--name", "stopped", "bb", "sleep", "1000")
        yield made


@pytest.fixture(scope="module")
def podman() -> Iterator[list[str]]:
    if os.geteuid() != 0 or not shutil.which("podman"):
        pytest.skip("needs root and podman (apt install podman)")
    name, work = f"pddscp{os.getpid()}", tempfile.mkdtemp(prefix="pddscp")  # podman takes no runroot longer than 50 characters
    runtime = "crun" if shutil.which("crun") else "runc"
    words = ["nsenter", f"--net=/run/netns/{name}", "podman", "--root", f"{work}/root", "--runroot", f"{work}/run", "--tmpdir",
             f"{work}/tmp", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", runtime]
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", name, "link", "set", "lo", "up")
        busybox_tar(Path(work) / "image.tar")
        run(*words, "import", f"{work}/image.tar", "bb")
        yield words
    finally:
        subprocess.run([*words, "rm", "-af", "-t", "0"], capture_output=True)
        subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        shutil.rmtree(work, ignore_errors=True)


def named(name: str) -> containers.Container:
    containers.forget()
    found = containers.find(name)
    assert len(found) == 1, found
    return found[0]


def test_docker_names_ids_ports_and_addresses(docker: Machine) -> None:
    web = named("web")
    assert web.engine == "docker" and web.image == "bb" and web.pid == docker.pid("web")
    assert web.id == docker.docker("inspect", "-f", "{{.Id}}", "web") and len(web.id) == ID_LENGTH
    assert f"net:[{web.netns}]" == docker.inode("web")
    assert web.networks == (Attachment("bridge", (f"{docker.address('web')}/16",)),)
    assert {PublishedPort("0.0.0.0", 8080, 80, "tcp"), PublishedPort("0.0.0.0", 5353, 53, "udp")} <= set(web.ports)
    assert named(web.id) == named(web.id[:12]) == named(web.id[:4]) == web


def test_a_stopped_container_is_not_running(docker: Machine) -> None:
    with pytest.raises(namespaces.NoSuchNamespace) as error:
        namespaces.resolve("stopped")
    assert error.value.code == "unknown-container"


def test_a_misspelt_container_brings_the_right_name(docker: Machine) -> None:
    with pytest.raises(namespaces.NoSuchNamespace) as error:
        namespaces.resolve("clinet")
    assert error.value.near[0] == "client"


def test_two_containers_in_one_namespace(docker: Machine) -> None:
    assert namespaces.resolve("sidecar").inode == namespaces.resolve("web").inode
    handle = next(h for h in namespaces.find_namespaces() if h.inode == namespaces.resolve("web").inode)
    assert set(handle.names[0].split(", ")) == {"web", "sidecar"}


def test_a_container_on_the_host_s_network(docker: Machine) -> None:
    handle = namespaces.resolve("on-host")
    assert f"net:[{handle.inode}]" == docker.inode(docker.host)
    assert handle.names[0] == "on-host" and docker.host not in namespaces.resolve("client").names


def test_a_renamed_container(docker: Machine) -> None:
    docker.docker("rename", "client", "client2")
    try:
        assert named("client2").pid == docker.pid("client2")
    finally:
        docker.docker("rename", "client2", "client")
        containers.forget()


def test_processes_know_their_container(docker: Machine) -> None:
    inode = docker.inode("client")
    with LiveHost() as host:
        assert [(process.name, process.container) for process in host.processes_in(inode)] == [("sleep", "client")]
        assert host.container_of(inode) == "client"


def test_the_picture_of_a_docker_host(docker: Machine) -> None:
    with LiveHost() as host:
        picture = topology.build(host)
    of = {namespace.id: namespace for namespace in picture.namespaces}
    web = of[docker.inode("web")]
    eth0 = next(link for link in web.links if link.name == "eth0")
    assert set((web.container or "").split(", ")) == {"web", "sidecar"} and eth0.addresses == (f"{docker.address('web')}/16",) and not eth0.problems
    assert eth0.peer is not None and eth0.peer.netns == docker.inode(docker.host)
    veth = next(link for link in of[docker.inode(docker.host)].links if link.ifindex == eth0.peer.ifindex)
    assert veth.master == "docker0" and veth.peer is not None and veth.peer.name == "eth0" and veth.peer.netns == web.id


def test_hostile_names_are_shown_harmless(docker: Machine) -> None:
    """A process and an interface of a container carry terminal escapes, bidi overrides and markup."""
    comm, interface = "\x1b]0;p\x07[red]", "\x1b[2J[b]\u202ex"
    python = "import ctypes,sys,time; ctypes.CDLL(None).prctl(15, sys.argv[1].encode()); time.sleep(1000)"
    pid = docker.pid("client")
    process = subprocess.Popen(["nsenter", "-t", str(pid), "-n", "python3", "-c", python, comm])
    try:
        run("nsenter", "-t", str(pid), "-n", "ip", "link", "add", interface, "type", "bridge")
        from .conftest import wait

        wait(lambda: Path(f"/proc/{process.pid}/comm").read_text().startswith("\x1b"))
        with LiveHost() as host:
            picture = topology.build(host)
        texts = {fmt: render(picture, fmt, 80, False) for fmt in ("tree", "dot", "mermaid", "json")}
        for fmt, text in texts.items():
            assert all(c == "\n" or c.isprintable() for c in text), fmt
        assert r"\x1b[2J[b]\u202ex" in texts["tree"] and r"\x1b]0;p\x07[red]" in texts["tree"]
        assert r"\u001b[2J[b]\u202ex" in texts["json"]
    finally:
        process.kill()
        process.wait()
        run("nsenter", "-t", str(pid), "-n", "ip", "link", "delete", interface)


def test_podman(podman: list[str]) -> None:
    limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")
    first = run(*podman, "run", "-d", *limits, "--name", "plain", "--network", "none", "bb", "sleep", "1000").strip()
    run(*podman, "run", "-d", *limits, "--name", "published", "-p", "8081:80", "bb", "sleep", "1000")
    plain, published = named("plain"), named("published")
    assert plain.id == first and plain.engine == "podman" and plain.image.endswith("/bb:latest")
    assert plain.pid == int(run(*podman, "inspect", "-f", "{{.State.Pid}}", "plain"))
    assert published.netns == os.stat(f"/proc/{published.pid}/ns/net").st_ino != plain.netns
    if published.networks:  # CNI keeps notes, netavark does not
        assert published.ports == (PublishedPort("", 8081, 80, "tcp"),)
    assert containers.name_of(plain.pid) == "plain" and namespaces.resolve("published").inode == published.netns
