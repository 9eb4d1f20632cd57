"""Every way a namespace can be held is found, and what vanishes meanwhile does not hurt."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pktdiag.collect import mounts, namespaces, processes
from pktdiag.collect.census import Census
from pktdiag.collect.live import LiveHost
from pktdiag.collect.live_namespace import LiveNamespace
from pktdiag.collect.namespaces import NamespaceHandle, NoSuchNamespace

from .conftest import Nets, run, wait

SLEEP = ("sleep", "1000")
HOLD_DESCRIPTOR = "import os, sys; os.open(sys.argv[1], os.O_RDONLY); print('ready', flush=True); sys.stdin.read()"
STRAY_THREAD = """
import ctypes, os, sys, threading
def stray():
    ctypes.CDLL(None).setns(os.open(sys.argv[1], os.O_RDONLY), 0x40000000)
    done.set()
    threading.Event().wait()
done = threading.Event()
threading.Thread(target=stray, daemon=True).start()
done.wait()
os.close(3)
print('ready', flush=True)
sys.stdin.read()
"""


def found() -> dict[int, NamespaceHandle]:
    return {handle.inode: handle for handle in namespaces.find_namespaces()}


def opens(handle: NamespaceHandle) -> bool:
    return os.stat(handle.path).st_ino == handle.inode


def test_our_own_is_first_and_called_host() -> None:
    first = next(iter(namespaces.find_namespaces()))
    assert first.inode == os.stat("/proc/self/ns/net").st_ino
    assert first.names[0] == "host" and os.getpid() in first.pids


def test_a_named_one_without_processes(nets: Nets) -> None:
    nets.add("web")
    handle = found()[nets.inode("web")]
    assert handle.names == (nets["web"],) and handle.pids == () and opens(handle)


def test_a_nameless_one_held_by_a_process(nets: Nets) -> None:
    helper = nets.start("", "unshare", "--net", *SLEEP)
    own = os.stat("/proc/self/ns/net").st_ino
    wait(lambda: os.stat(f"/proc/{helper.pid}/ns/net").st_ino != own)
    inode = os.stat(f"/proc/{helper.pid}/ns/net").st_ino
    handle = found()[inode]
    assert handle.pids == (helper.pid,) and handle.names == () and opens(handle)
    assert namespaces.open_namespace(inode) == handle
    nets.stop(helper)
    wait(lambda: namespaces.open_namespace(inode) is None)


def test_somebody_in_it_is_found_by_age_and_anybody_where_age_misleads(nets: Nets, monkeypatch: pytest.MonkeyPatch) -> None:
    helpers = [nets.start("", "unshare", "--net", "--mount", *SLEEP) for _ in range(24)]
    own = os.stat("/proc/self/ns/net").st_ino
    for helper in helpers:
        wait(lambda pid=helper.pid: os.stat(f"/proc/{pid}/ns/net").st_ino != own)  # type: ignore[misc]
    homes = {os.stat(f"/proc/{helper.pid}/ns/net").st_ino: helper.pid for helper in helpers}
    assert all(Census().somebody(inode) in (None, pid) for inode, pid in homes.items())
    for inode, pid in homes.items():
        handle = namespaces.open_namespace(inode, Census())
        assert handle is not None and handle.pids == (pid,)
    by_age = [pid for _, pid in sorted(homes.items())]
    between = [number for pid in by_age for number in (os.getpid(), pid, os.getppid())]
    for order, sure in ((between, True), (by_age, True), (between[::-1], False)):
        census = Census()
        monkeypatch.setattr(census, "_pids", order)  # as if the processes had been numbered so
        assert all(census.somebody(inode) in ((pid,) if sure else (None, pid)) for inode, pid in homes.items())
        assert census.somebody(1) is None and [census.first(inode) for inode in homes] == list(homes.values())


def test_who_strayed_in_does_not_name_it(nets: Nets) -> None:
    """A shell that entered from the host has the host's files: whoever was there before it is looked for."""
    first = nets.start("", "unshare", "--net", "--mount", *SLEEP)
    own = os.stat("/proc/self/ns/net").st_ino
    wait(lambda: os.stat(f"/proc/{first.pid}/ns/net").st_ino != own)
    inode = os.stat(f"/proc/{first.pid}/ns/net").st_ino
    stray = nets.start("", "nsenter", f"--net=/proc/{first.pid}/ns/net", *SLEEP)
    wait(lambda: os.stat(f"/proc/{stray.pid}/ns/net").st_ino == inode)

    class Misled(Census):
        def somebody(self, inode: int) -> int | None:
            return stray.pid

    handle = namespaces.open_namespace(inode, Misled())
    assert handle is not None and handle.pids == (min(first.pid, stray.pid),)


def test_dockers_shelf_leads_to_a_peer(nets: Nets, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nets.add("a", "b", "c")
    nets.ip("a", f"link add to-b type veth peer name up netns {nets['b']}", f"link add to-c type veth peer name up netns {nets['c']}")
    helper = nets.start("c", *SLEEP)
    monkeypatch.setattr(mounts, "DOCKERS", f"{tmp_path}/")
    (tmp_path / "0-stale").touch()
    (tmp_path / "1-elsewhere").symlink_to("/nowhere")
    inodes = {name: nets.inode(name) for name in "abc"}
    for name in "bc":
        (tmp_path / name).touch()
        run("mount", "--bind", f"/run/netns/{nets[name]}", str(tmp_path / name))
    try:
        nets.delete("c")  # what is left of it has no name, as Docker's have none
        assert {path for _, path in mounts.shelf(mounts.DOCKERS)} == {f"{tmp_path}/{name}" for name in ("0-stale", "1-elsewhere", "b", "c")}
        with LiveHost() as host:
            view = host.namespace(inodes["a"])
            peers = {}
            for name in "bc":
                link = view.link_named(f"to-{name}")
                assert link is not None and link.link is not None and link.link.nsid is not None
                peers[name] = view.peer_namespace(link.link.nsid)
                assert isinstance(peers[name], LiveNamespace)
            assert peers["c"].door.path == f"{tmp_path}/c"
            assert {name: peer.inode for name, peer in peers.items()} == {name: inodes[name] for name in "bc"}
            assert peers["b"].names == (nets["b"],) and peers["c"].names == ()
            handle = namespaces.of_shelf(inodes["c"], f"{tmp_path}/c", Census())
            assert handle is not None and handle.pids == (helper.pid,)
            handle = namespaces.of_shelf(inodes["b"], f"{tmp_path}/b", Census())
            assert handle is not None and handle.names == (nets["b"],)
            assert namespaces.of_shelf(inodes["b"], "/proc/1/ns/net", Census()) is None
            host.refresh()
            assert set(host.namespace(inodes["a"]).peer_namespaces([link.link.nsid for link in view.links().values() if link.link])) == {
                link.link.nsid for link in view.links().values() if link.link}
    finally:
        for name in "bc":
            run("umount", "-l", str(tmp_path / name))


def test_one_held_only_by_a_mount_in_another_mount_namespace(nets: Nets) -> None:
    nets.add("far")
    inode = nets.inode("far")
    script = f"ip netns add {nets['hidden']} && echo ready && exec sleep 1000"
    # A private mount namespace: its /run/netns is invisible from here.
    helper = nets.start("", "unshare", "--mount", "--propagation", "private", "sh", "-c",
                        f"mount -t tmpfs none /run && mkdir /run/netns && {script}")
    assert helper.stdout is not None and helper.stdout.readline() == b"ready\n"
    assert not os.path.exists(f"/run/netns/{nets['hidden']}")
    hidden = [handle for handle in found().values() if nets["hidden"] in handle.names]
    assert len(hidden) == 1 and hidden[0].inode != inode and opens(hidden[0])
    assert hidden[0].path == f"/proc/{helper.pid}/root/run/netns/{nets['hidden']}"
    assert namespaces.open_namespace(hidden[0].inode) == hidden[0]
    assert namespaces.resolve(f"ns:{nets['hidden']}").inode == hidden[0].inode


def test_one_held_only_by_a_thread(nets: Nets) -> None:
    nets.add("thread")
    inode = nets.inode("thread")
    helper = nets.python("", STRAY_THREAD, f"/run/netns/{nets['thread']}")
    nets.delete("thread")
    handle = found()[inode]
    assert handle.pids == (helper.pid,) and opens(handle)


def test_one_held_only_by_a_descriptor(nets: Nets) -> None:
    nets.add("lonely")
    inode = nets.inode("lonely")
    helper = nets.python("", HOLD_DESCRIPTOR, f"/run/netns/{nets['lonely']}")
    nets.delete("lonely")
    handle = found()[inode]
    assert handle.path.startswith(f"/proc/{helper.pid}/fd/") and opens(handle) and handle.pids == ()
    nets.stop(helper)
    wait(lambda: inode not in found())


def test_a_mount_whose_path_needs_escaping(nets: Nets, tmp_path: object) -> None:
    nets.add("odd")
    target = f"{tmp_path}/a b\\c\td#\x1b[31m"
    open(target, "w").close()
    subprocess.run(["mount", "--bind", f"/run/netns/{nets['odd']}", target], check=True)
    try:
        assert target in found()[nets.inode("odd")].names
        assert namespaces.resolve(f"ns:{target}").inode == nets.inode("odd")
    finally:
        subprocess.run(["umount", target], check=True)


def test_three_hundred_in_half_a_second(nets: Nets) -> None:
    names = [str(number) for number in range(300)]
    nets.add(*names)
    inodes = {nets.inode(name) for name in names}
    started = time.process_time()
    handles = found()
    elapsed = time.process_time() - started
    assert inodes <= set(handles) and elapsed < 0.5
    assert all(opens(handles[inode]) for inode in inodes)


def test_namespaces_that_vanish_while_they_are_looked_for(nets: Nets) -> None:
    nets.add("stays")
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            run("ip", "-batch", "-", stdin=f"netns add {nets['gone']}\nnetns delete {nets['gone']}\n")
            subprocess.run(["unshare", "--net", "true"], check=True)

    worker = threading.Thread(target=churn)
    worker.start()
    try:
        for _ in range(10):
            assert nets.inode("stays") in found()
            processes.socket_owners({1})
    finally:
        stop.set()
        worker.join()


class TestResolve:
    def test_host_and_pid_and_name_and_number(self, nets: Nets) -> None:
        nets.add("web")
        helper = nets.start("web", *SLEEP)
        inode = nets.inode("web")
        assert namespaces.resolve("host").names == ("host",)
        for selector in (f"ns:{nets['web']}", f"pid:{helper.pid}", f"net:[{inode}]", f"ns:net:[{inode}]",
                         f"ns:/run/netns/{nets['web']}"):
            handle = namespaces.resolve(selector)
            assert handle.inode == inode and opens(handle), selector

    def test_a_wrong_name_brings_the_right_one(self, nets: Nets) -> None:
        nets.add("frontend")
        with pytest.raises(NoSuchNamespace) as error:
            namespaces.resolve(f"ns:{nets['frontent']}")
        assert error.value.code == "unknown-namespace" and error.value.near[0] == nets["frontend"]

    def test_a_namespace_where_a_container_was_expected(self, nets: Nets) -> None:
        nets.add("web")
        with pytest.raises(NoSuchNamespace) as error:
            namespaces.resolve(nets["web"])
        assert error.value.code == "unknown-container" and error.value.near == (f"ns:{nets['web']}",)

    @pytest.mark.parametrize(("selector", "code"), [
        ("pid:4999999", "no-such-process"), ("pid:", "no-such-process"), ("pid:-1", "no-such-process"),
        ("pid:²", "no-such-process"), ("ns:", "unknown-namespace"), ("ns:/etc/passwd", "unknown-namespace"),
        ("ns:../../etc", "unknown-namespace"), ("ns:a\0b", "unknown-namespace"), ("net:[0]", "unknown-namespace"),
        ("net:[x]", "unknown-namespace"), ("", "unknown-container"), ("\x1b[31m", "unknown-container"),
        ("../x", "unknown-container"),
    ])
    def test_nonsense_is_one_plain_line(self, selector: str, code: str) -> None:
        with pytest.raises(NoSuchNamespace) as error:
            namespaces.resolve(selector)
        assert error.value.code == code and "\n" not in str(error.value)


def test_processes_of_a_namespace_and_owners_of_its_sockets(nets: Nets) -> None:
    nets.add("web")
    script = ("import os, socket, sys\ns = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
              "print(os.fstat(s.fileno()).st_ino, flush=True)\nchild = os.fork()\nsys.stdin.read()")
    helper = nets.start("web", sys.executable, "-c", script)
    assert helper.stdout is not None
    socket_inode = int(helper.stdout.readline())
    inode = nets.inode("web")
    wait(lambda: len(processes.pids_in(inode)) == 2)
    inhabitants = processes.in_namespace(inode)
    assert helper.pid in [process.pid for process in inhabitants]
    assert all(process.cmdline == (sys.executable, "-c", script) and process.uid == 0 for process in inhabitants)
    owners = processes.socket_owners({socket_inode}, processes.pids_in(inode))[socket_inode]
    assert [owner.pid for owner in owners] == [process.pid for process in inhabitants]
    assert processes.socket_owners({socket_inode}) == {socket_inode: owners}


def test_what_root_may_not_see_is_said(nets: Nets) -> None:
    """As somebody else, other users' namespaces are hidden, and counted."""
    code = ("import os, difflib\nfrom pktdiag.collect import namespaces, containers, containers_docker\n"
            "os.setuid(65534)\nscan = namespaces.scan()\n"
            "print(len(scan.handles) >= 1, scan.gaps[0].why, scan.gaps[0].what.split()[-1])\n"
            "try: namespaces.of_pid(int(os.environ['WHO']))\nexcept namespaces.NoSuchNamespace as e: print(e.code)")
    nets.add("secret")
    helper = nets.start("secret", *SLEEP)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "WHO": str(helper.pid), "PYTHONPATH": os.getcwd()})
    assert done.stdout.splitlines() == ["True permission denied processes", "no-permission"], done.stderr


def test_discovery_is_light(nets: Nets) -> None:
    """It stands on the trace path: none of the slow modules."""
    code = ("import sys\nfrom pktdiag.collect import namespaces, processes, containers\n"
            "namespaces.scan(); containers.containers(); namespaces.resolve('host')\n"
            "print([m for m in ('json', 'socket', 'psutil', 'dataclasses', 'ipaddress') if m in sys.modules])")
    # -I -S: a site directory's .pth files may import what they like.
    done = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {os.getcwd()!r})\n{code}"],
                          capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
