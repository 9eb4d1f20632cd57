"""Counters in plain words: every name this kernel knows, read as nstat and ip read them."""

from __future__ import annotations

import subprocess

import pytest

from pktdiag.collect import statfiles
from pktdiag.collect.live import LiveHost
from pktdiag.explain.counters import explain
from pktdiag.explain.watch import moved
from pktdiag.model.counters import BAD, BENIGN, SUSPICIOUS, lookup
from pktdiag.model.counters.reading import Reading


def reading(**snmp: int) -> Reading:
    return Reading("net:[1]", snmp, {"eth0": {"rx_dropped": 0, "tx_errors": 2}}, {}, {}, None)


def test_every_counter_of_this_kernel_has_words() -> None:
    """The names come from the running kernel, so a new kernel's new counter fails here and gets its words."""
    found = statfiles.read(LiveHost().current_namespace(), with_softnet=True)
    unknown = [name for name in found.snmp if lookup(name) is None]
    assert unknown == []
    for kind, names in (("softnet", found.softnet), ("conntrack", found.conntrack)):
        assert [name for name in names if lookup(f"{kind}.{name}") is None and name != "chainlength"] == []
    for counters in found.devices.values():
        assert all(lookup(f"dev.{name}") for name in counters)


def test_severities_are_closed_and_bad_ones_say_what_to_do() -> None:
    from pktdiag.model.counters import device, icmp_udp, ip, tcp, tcp_ext
    for table in (ip.TABLE, icmp_udp.ICMP, icmp_udp.UDP, tcp.TABLE, tcp_ext.TABLE, *device.TABLES.values()):
        for name, counter in table.items():
            assert counter.severity in (BAD, SUSPICIOUS, BENIGN), name
            assert counter.text and not counter.text.endswith("."), name


def test_ipv6_twins_speak_of_ipv6() -> None:
    known = lookup("Ip6InAddrErrors")
    assert known is not None and known.text.startswith("IPv6: ") and "net.ipv6.conf.all.forwarding" in known.todo
    assert lookup("Icmp6OutType135") is not None and lookup("NoSuchCounter") is None and lookup("TcpExtNoSuch") is None


def test_bad_comes_first_and_harmless_only_when_asked() -> None:
    lines = explain(reading(IpInReceives=1000, UdpNoPorts=1, TcpRetransSegs=500, IpInDelivers=0))
    assert [line.name for line in lines] == ["dev.tx_errors", "UdpNoPorts", "TcpRetransSegs"]
    assert "IpInReceives" in [line.name for line in explain(reading(IpInReceives=1000), everything=True)]


def test_a_nearly_full_conntrack_table_is_worth_a_word() -> None:
    full = reading()._replace(limits=(262144, 262144))
    assert next((line.name, line.severity) for line in explain(full)) == ("conntrack.entries", BAD)
    assert explain(reading()._replace(limits=(10, 262144)))[0].name == "dev.tx_errors"


def test_only_what_moved_is_told() -> None:
    before = [reading(UdpNoPorts=5, TcpCurrEstab=1), reading()._replace(netns="net:[gone]")]
    after = [reading(UdpNoPorts=8, TcpCurrEstab=9), reading(UdpNoPorts=9)._replace(netns="net:[new]")]
    assert [(line.netns, line.name, line.value) for line in moved(before, after)] == [("net:[1]", "UdpNoPorts", 3)]


def test_proc_net_dev_with_an_odd_name() -> None:
    data = b"Inter-|\n face |\n  a\x1b[1m: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
    assert statfiles.devices(data)["a\x1b[1m"]["tx_dropped"] == 12


def test_softnet_and_conntrack_are_summed_over_cpus() -> None:
    assert statfiles.softnet(b"0000000a 00000001 00000000\n00000005 00000002 00000001\n")["dropped"] == 3
    stat = b"entries  clashres found insert_failed\n0000000a 0 1 2\n0000000a 0 1 3\n"
    assert statfiles.per_cpu(stat) == {"entries": 10, "clashres": 0, "found": 2, "insert_failed": 5}


@pytest.mark.root
def test_interface_counters_are_those_of_ip() -> None:
    import json
    told = json.loads(subprocess.run(["ip", "-s", "-j", "link", "show", "lo"], capture_output=True, text=True, check=True).stdout)[0]["stats64"]
    ours = statfiles.read(LiveHost().current_namespace(), with_softnet=False).devices["lo"]
    assert ours["rx_packets"] >= told["rx"]["packets"]
    assert ours["tx_errors"] == told["tx"]["errors"]
