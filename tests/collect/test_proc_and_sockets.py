"""Settings, counters and sockets of a namespace, against ``nstat`` and ``ss``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pktdiag.model.packet import Packet, format_address

from .conftest import Lab

SERVER = """
import socket, sys
keep = []
def make(family, kind, address, *options):
    s = socket.socket(family, kind)
    for option in options:
        s.setsockopt(*option)
    s.bind(address)
    keep.append(s)
    return s
make(2, 1, ("127.0.0.1", 8001)).listen(7)
make(2, 1, ("0.0.0.0", 8002), (0, 19, 1), (1, 36, 77)).listen(3)        # IP_TRANSPARENT, SO_MARK
make(10, 1, ("::", 8003), (41, 26, 1)).listen(1)                        # IPV6_V6ONLY
make(10, 1, ("::", 8004), (41, 26, 0)).listen(1)
make(2, 2, ("0.0.0.0", 8005), (1, 25, b"lo"))                           # SO_BINDTODEVICE
connected = make(2, 2, ("127.0.0.1", 8006)); connected.connect(("127.0.0.1", 8005))
keep.append(socket.create_connection(("127.0.0.1", 8001)))
keep.append(socket.create_connection(("127.0.0.1", 8004)))
raw = socket.socket(2, 3, 89); keep.append(raw)
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def serving(lab: Lab, name: str) -> Iterator[int]:
    server = subprocess.Popen(["nsenter", f"--net=/run/netns/{lab.prefix}{name}", sys.executable, "-c", SERVER],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None and server.stdout is not None
    try:
        assert server.stdout.readline() == "ready\n"
        yield server.pid
    finally:
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        server.stdin.close()
        server.stdout.close()


def test_sockets_read_as_ss_shows_them(lab: Lab) -> None:
    lab.add("s")
    with serving(lab, "s"):
        view = lab.fresh("s")
        for proto, flag in ((6, "-t"), (17, "-u")):
            for family, version in ((2, "-4"), (10, "-6")):
                shown = [line.split() for line in lab.run("s", f"ss -Han {flag} {version}").splitlines()]
                ports = sorted((int(f[3].rpartition(":")[2]), int(f[4].rpartition(":")[2].replace("*", "0"))) for f in shown)
                assert sorted((s.lport, s.rport) for s in view.sockets(proto, family)) == ports
        assert [(s.lport, s.state) for s in view.sockets_on(6, 2, 8002)] == [(8002, 10)]
        assert sorted(s.rport == 8001 for s in lab.fresh("s").sockets_on(6, 2, 8001)) == [False, False]
        assert [s.lport for s in view.sockets_on(17, 2, 8005)] == [8005] and view.sockets_on(17, 10, 8005) == ()
        (one,) = [s for s in view.sockets(6, 2) if s.rport == 8001]
        to_it = Packet(one.remote, one.local, 6, one.rport, one.lport)
        assert one in view.sockets_for(to_it, 1) and {s.lport for s in view.sockets_for(to_it, 1)} == {one.lport}
        back = view.sockets_for(Packet(one.local, one.remote, 6, one.lport, 8001), 1)
        assert sorted((s.lport, s.rport, s.state) for s in back) == [(8001, 0, 10), (8001, one.lport, 1)]
        (mapped,) = [s for s in view.sockets(6, 2) if s.rport == 8004]
        back = view.sockets_for(Packet(mapped.local, mapped.remote, 6, mapped.lport, 8004), 1)
        assert sorted((s.lport, s.rport, s.family) for s in back) == [(8004, 0, 10), (8004, mapped.lport, 10)]
        assert {s.lport for s in view.sockets_for(Packet(one.local, one.remote, 6, 1, 8004), 1)} == {8004}
        assert view.sockets_for(Packet(one.local, one.remote, 6, 1, 9), 1) == ()
        assert [s.lport for s in view.sockets_for(Packet(one.local, one.remote, 17, 1, 8005), 1)] == [8005]
        listening = {s.lport: s for family in (2, 10) for s in view.sockets(6, family) if s.state == 10}
        assert set(listening) == {8001, 8002, 8003, 8004}
        assert format_address(listening[8001].local) == "127.0.0.1" and listening[8001].wqueue == 7 and listening[8001].rqueue == 1
        assert listening[8002].transparent and listening[8002].mark == 77 and not listening[8001].transparent
        assert listening[8003].v6only and not listening[8004].v6only and len(listening[8004].local) == 16
        udp = {s.lport: s for s in view.sockets(17, 2)}
        lo = view.link_named("lo")
        assert lo is not None and udp[8005].ifindex == lo.ifindex and udp[8005].state == 7
        assert udp[8006].state == 1 and udp[8006].rport == 8005
        assert [s.lport for s in view.sockets(255, 2)] == [89]
        assert view.sockets(132, 2) == () and view.sockets(1, 2) == ()


def test_a_socket_leads_to_its_process(lab: Lab) -> None:
    lab.add("p")
    with serving(lab, "p") as pid:
        view = lab.fresh("p")
        sock = next(s for s in view.sockets(6, 2) if s.lport == 8002)
        owners = view.socket_processes(sock)
        assert [owner.pid for owner in owners] == [pid] and owners[0].uid == 0
        assert [one.pid for one in lab.host.processes_in(view.id)] == [pid]


def test_sysctls_are_the_namespaces_own(lab: Lab) -> None:
    one, two = lab.add("c1"), lab.add("c2")
    lab.run("c1", "sysctl -qw net.ipv4.ip_forward=1")
    lab.run("c2", "sysctl -qw net.ipv4.ip_forward=0")
    assert (one.sysctl("net/ipv4/ip_forward"), two.sysctl("net/ipv4/ip_forward")) == ("1", "0")
    assert one.sysctl("net/ipv4/conf/lo/rp_filter") is not None
    assert one.sysctl("net/ipv4/conf/nosuch/rp_filter") is None and one.sysctl("net/nosuch") is None
    assert one.sysctl("net/ipv4/ip_local_port_range") == lab.run("c1", "sysctl -n net.ipv4.ip_local_port_range").strip()


def test_counters_have_nstats_names_and_values(lab: Lab) -> None:
    lab.add("n")
    lab.try_run("n", "ping -c1 -W1 127.0.0.1")
    shown = lab.json("n", "nstat -asz --json")["kernel"]
    counters = lab.fresh("n").snmp()
    differing = {name: (value, counters.get(name)) for name, value in shown.items() if counters.get(name) != value}
    assert not differing
    assert counters["UdpNoPorts"] == 0 and "TcpExtListenOverflows" in counters and "Ip6InReceives" in counters


@pytest.mark.skipif(not os.path.exists("/sys/kernel/btf/vmlinux"), reason="the kernel does not describe itself")
def test_functions_of_the_kernel_are_known() -> None:
    from pktdiag.collect.modules import has_function

    assert has_function("not_a_module", "ip_forward_finish") is True
    assert has_function("not_a_module", "ip_forward_begin") is False
