"""A machine of its own with a real Docker engine on it, and a second machine outside, both network namespaces."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOST_ADDRESS, OUTSIDE_ADDRESS = "198.51.100.1", "198.51.100.2"
ROOT = Path(__file__).resolve().parents[2]


# Run inside containers by the test's own Python, mounted read-only: answers every datagram, every connection.
ECHO = r"""
import socket, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
if len(sys.argv) > 4:
    import ctypes
    ctypes.CDLL(None).prctl(15, sys.argv[4].encode(), 0, 0, 0)
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.bind((address, port))
if kind == "udp":
    while True:
        data, peer = sock.recvfrom(2048)
        sock.sendto(data, peer)
sock.listen(16)
while True:
    connection, _ = sock.accept()
    connection.sendall(connection.recv(2048))
    connection.close()
"""


def run(*words: str, check: bool = True, **options: object) -> str:
    """Runs a tool and returns what it printed; what it complained of becomes the error's text."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload]
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return str(done.stdout)


def busybox_tar(path: Path) -> None:
    """A root file system with nothing but a static busybox under its usual names."""
    with tarfile.open(path, "w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for name in ("sh", "nc", "sleep", "cat"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)


class Machine:
    """Two namespaces joined by a veth pair: the container host and a machine outside."""

    def __init__(self, name: str, backend: str) -> None:
        self.backend = backend
        self.host, self.outside = f"pds-{name}", f"pds-{name}-out"
        self.work = Path(tempfile.mkdtemp(prefix=f"pds-{name}-"))
        self.socket = f"unix://{self.work}/d.sock"
        self._daemon: subprocess.Popen[bytes] | None = None

    # -- building ---------------------------------------------------------------------------------------------------
    def build(self) -> None:
        for ns in (self.host, self.outside):
            run("ip", "netns", "add", ns)
            self.inside(ns, "ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "eth0", "netns", self.host, "type", "veth", "peer", "name", "eth0", "netns", self.outside)
        for ns, address in ((self.host, HOST_ADDRESS), (self.outside, OUTSIDE_ADDRESS)):
            self.inside(ns, "ip", "address", "add", f"{address}/24", "dev", "eth0")
            self.inside(ns, "ip", "link", "set", "eth0", "up")
        self.inside(self.outside, "ip", "route", "add", "default", "via", HOST_ADDRESS)
        tools = self.work / "tools"
        tools.mkdir()
        for tool in ("iptables", "ip6tables", "iptables-save", "ip6tables-save", "iptables-restore", "ip6tables-restore"):
            base, _, rest = tool.partition("-")
            target = f"/usr/sbin/{base}-{self.backend}" + (f"-{rest}" if rest else "")
            (tools / tool).symlink_to(target)
        self.env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}:/usr/sbin:/sbin"}

    def start_docker(self) -> None:
        with open(self.work / "d.log", "wb") as log:
            self._daemon = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.host}", "dockerd", "--data-root", f"{self.work}/data", "--exec-root",
                 f"{self.work}/exec", "-H", self.socket, "-p", f"{self.work}/d.pid", "--userland-proxy=false"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.env, start_new_session=True)
        self._wait_for(lambda: bool(run("docker", "-H", self.socket, "info", check=False)) and Path(f"{self.work}/d.sock").exists()
                       and "Server Version" in run("docker", "-H", self.socket, "info", check=False), "dockerd")
        busybox_tar(self.work / "image.tar")
        self.docker("import", str(self.work / "image.tar"), "bb")

    def _wait_for(self, ready: object, what: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not ready():  # type: ignore[operator]
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what} did not come up: {(self.work / 'd.log').read_text()[-2000:]}")
            time.sleep(0.05)

    def close(self) -> None:
        if self._daemon is not None:
            for container in run("docker", "-H", self.socket, "ps", "-aq", check=False).split():
                run("docker", "-H", self.socket, "rm", "-f", container, check=False)
            self._daemon.send_signal(signal.SIGTERM)
            try:
                self._daemon.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self._daemon.pid, signal.SIGKILL)
                self._daemon.wait()
        for ns in (self.host, self.outside):
            run("ip", "netns", "delete", ns, check=False)
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            target = line.split()[1]
            if target.startswith(str(self.work)):
                run("umount", "-l", target, check=False)
        shutil.rmtree(self.work, ignore_errors=True)

    # -- using -----------------------------------------------------------------------------------------------------
    def inside(self, ns: str, *words: str, check: bool = True) -> str:
        return run("ip", "netns", "exec", ns, *words, check=check)

    def docker(self, *words: str) -> str:
        return run("docker", "-H", self.socket, *words).strip()

    def tool(self, *words: str) -> str:
        """An iptables of the machine's own backend, on the machine."""
        return run("nsenter", f"--net=/run/netns/{self.host}", *words, env=self.env)

    def run_echo(self, container: str, proto: str, port: int, *options: str, address: str = "0.0.0.0", comm: str = "") -> None:
        """A container with an echo server in it: the test's own Python, mounted read-only."""
        mounts = []
        for path in dict.fromkeys((sys.base_prefix, "/usr", "/lib", "/lib64")):
            if os.path.exists(path):
                mounts += ["-v", f"{path}:{path}:ro"]
        python = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}")
        self.docker("run", "-d", "--name", container, *mounts, *options, "bb", python, "-c", ECHO, proto, address, str(port),
                    *([comm] if comm else []))
        self.wait_for_listener(container, proto, port)

    def pid(self, container: str) -> int:
        return int(self.docker("inspect", "-f", "{{.State.Pid}}", container))

    def address(self, container: str, network: str = "bridge") -> str:
        return json.loads(self.docker("inspect", container))[0]["NetworkSettings"]["Networks"][network]["IPAddress"]

    def wait_for_listener(self, container: str, proto: str, port: int) -> None:
        path = f"/proc/{self.pid(container)}/net/{proto}"
        self._wait_for(lambda: f":{port:04X} " in Path(path).read_text(), f"{container} on {proto} {port}", 10)

    def pktdiag(self, *words: str) -> dict[str, object]:
        """A real pktdiag process on the machine; its JSON document with its exit status as "exit"."""
        done = subprocess.run(["nsenter", f"--net=/run/netns/{self.host}", sys.executable, "-m", "pktdiag", *words, "--json"],
                              capture_output=True, text=True, timeout=60, cwd=ROOT)
        assert done.returncode in (0, 1, 3), done.stdout + done.stderr
        return {**json.loads(done.stdout), "exit": done.returncode}

    def inode(self, where: str) -> str:
        """``net:[…]`` of one of the two machines, or of a container."""
        if where in (self.host, self.outside):
            return f"net:[{os.stat(f'/run/netns/{where}').st_ino}]"
        return os.readlink(f"/proc/{self.pid(where)}/ns/net")


@contextmanager
def machine(name: str, backend: str) -> Iterator[Machine]:
    """Built, with Docker running; gone afterwards whatever happened."""
    made = Machine(name, backend)
    try:
        made.build()
        made.start_docker()
        yield made
    finally:
        made.close()
