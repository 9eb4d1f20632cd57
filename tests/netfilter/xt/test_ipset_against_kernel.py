"""Every ipset type this kernel has: asked for one element, the answer is the one the packet path gives."""

from __future__ import annotations

import pytest

from .conftest import Lab
from .oracle import MAC_A, MAC_B, Wire
from .test_against_kernel import judge, packets, wire

__all__ = ["wire"]

pytestmark = pytest.mark.root

SETS4 = f"""
create a1 hash:ip; add a1 198.51.100.1; src; dst
create a2 hash:ip netmask 24; add a2 198.51.100.0; src; dst
create a3 hash:ip; add a3 203.0.113.1; src; dst
create b1 hash:ip,port; add b1 198.51.100.1,tcp:80 add b1 198.51.100.1,icmp:8/0 add b1 198.51.100.2,udp:5000; src,dst; dst,src; src,src
create c1 hash:ip,port,ip; add c1 198.51.100.1,80,198.51.100.2 add c1 198.51.100.2,udp:5,198.51.100.1; src,dst,dst; dst,src,src
create d1 hash:ip,port,net; add d1 198.51.100.1,80,198.51.0.0/16 add d1 198.51.100.1,22,198.51.100.2 nomatch; src,dst,dst
create e1 hash:net; add e1 198.0.0.0/8 add e1 198.51.100.1 nomatch; src; dst
create e2 hash:net; add e2 198.0.0.0/8 add e2 198.51.100.1 nomatch; src --return-nomatch; dst --return-nomatch
create e3 hash:net; add e3 0.0.0.0/1 add e3 128.0.0.0/1; src; dst
create f1 hash:net,port; add f1 198.51.100.0/24,tcp:1-100 add f1 198.51.100.0/24,udp:6000; src,dst; dst,dst; dst
create g1 hash:net,iface; add g1 198.51.100.0/24,eth0 add g1 198.51.100.0/24,lo; src,src; dst,src; dst,dst
create h1 bitmap:ip range 198.51.100.0/24; add h1 198.51.100.1; src; dst
create h2 bitmap:ip range 10.0.0.0/24; add h2 10.0.0.1; src; dst
create i1 bitmap:ip,mac range 198.51.100.0/24; add i1 198.51.100.1,{MAC_A} add i1 198.51.100.2,{MAC_B}; src,src; dst,dst; src,dst
create j1 bitmap:port range 0-1024; add j1 80 add j1 5; dst; src
create j2 bitmap:port range 6000-7000; add j2 6000; dst; src
create k1 list:set; add k1 a3 add k1 b1 add k1 e1; src; dst; src,dst
create l1 hash:ip timeout 300; add l1 198.51.100.1 timeout 200; src; dst
create m1 hash:ip counters comment; add m1 198.51.100.1 comment hi; src; dst
"""


@pytest.mark.parametrize("inverted", [False, True])
def test_ipsets(lab: Lab, wire: Wire, inverted: bool) -> None:
    rules = []
    for line in SETS4.strip().splitlines():
        create, adds, *uses = line.split("; ")
        lab.run("ipset", *create.split())
        for add in adds.split("add ")[1:]:
            lab.run("ipset", "add", *add.split())
        name = create.split()[1]
        rules += [f"-A INPUT -m set {'! ' if inverted else ''}--match-set {name} {use}" for use in uses]
    lab.run("iptables-legacy-restore", stdin="*filter\n" + "\n".join(rules) + "\nCOMMIT\n")
    judge(lab, wire, 2, packets(2))


def test_ipsets_of_ipv6(lab: Lab, wire: Wire) -> None:
    for command in ("create a6 hash:ip family inet6", "add a6 2001:db8::1", "create n6 hash:net family inet6", "add n6 2001:db8::/32",
                    "create p6 hash:ip,port family inet6", "add p6 2001:db8::1,tcp:80", "add p6 2001:db8::1,icmpv6:128/0",
                    "create a4 hash:ip", "add a4 198.51.100.1", "create both list:set", "add both a4", "add both a6"):
        lab.run("ipset", *command.split())
    rules = [f"-A INPUT -m set --match-set {use}" for use in ("a6 src", "a6 dst", "n6 dst", "p6 src,dst", "both src", "both dst")]
    lab.run("ip6tables-legacy-restore", stdin="*filter\n" + "\n".join(rules) + "\nCOMMIT\n")
    judge(lab, wire, 10, packets(10))
