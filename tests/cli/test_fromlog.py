"""Lines as the kernel, tcpdump and conntrack really print them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktdiag.cli.errors import CliError
from pktdiag.cli.fromlog import LoggedPacket, parse
from pktdiag.model.packet import parse_address as packed


def test_a_kernel_log_line() -> None:
    line = ("Nov 21 10:00:00 gw kernel: [1234.5] DROPPED: IN=eth0 OUT= MAC=02:00:00:00:00:01:02:00:00:00:00:02:08:00 SRC=198.51.100.7 "
            "DST=203.0.113.9 LEN=60 TOS=0x10 PREC=0x00 TTL=63 ID=54321 DF PROTO=TCP SPT=40000 DPT=443 WINDOW=64240 RES=0x00 SYN URGP=0 MARK=0x2a")
    assert parse(line) == LoggedPacket(packed("198.51.100.7"), packed("203.0.113.9"), 6, 40000, 443, 60, 63, 0x10, True, 0x2A, 2, None, "eth0",
                                       bytes.fromhex("020000000002"), "log")


def test_a_bridged_and_an_ipv6_line() -> None:
    line = ("IN=br0 OUT=br0 PHYSIN=veth1 PHYSOUT=veth2 MAC=02:00:00:00:00:01:02:00:00:00:00:02:86:dd SRC=2001:0db8:0000:0000:0000:0000:0000:0001 "
            "DST=2001:0db8:0000:0000:0000:0000:0000:0002 LEN=72 TC=0 HOPLIMIT=64 FLOWLBL=12345 PROTO=UDP SPT=5353 DPT=53 LEN=32")
    found = parse(line)
    assert (found.indev, found.length, found.ttl, found.dport, found.df) == ("veth1", 72, 64, 53, None)


def test_an_icmp_error_in_a_log_is_not_taken_for_the_packet_it_quotes() -> None:
    line = ("IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 LEN=88 TOS=0x00 PREC=0xC0 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=3 [SRC=192.0.2.2 DST=192.0.2.1 "
            "LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=0 DF PROTO=UDP SPT=1 DPT=2 LEN=40 ]")
    found = parse(line)
    assert (found.src, found.proto, found.icmp, found.tos) == (packed("192.0.2.1"), 1, (3, 3), 0xC0)


@pytest.mark.parametrize(("line", "expected"), [
    ("10:00:00.000000 IP 198.51.100.7.40000 > 203.0.113.9.443: Flags [S], seq 1, win 64240, length 0", (6, 40000, 443, None)),
    ("10:00:00.000000 eth0  In  IP 198.51.100.7.53 > 203.0.113.9.5353: 1234 NXDomain 0/1/0 (80)", (17, 53, 5353, "eth0")),
    ("IP (tos 0x10, ttl 62, id 5, offset 0, flags [DF], proto UDP (17), length 88) 198.51.100.7.1 > 203.0.113.9.2: UDP, length 60", (17, 1, 2, None)),
    ("IP 198.51.100.7 > 203.0.113.9: ICMP echo request, id 1, seq 1, length 64", (1, None, None, None)),
])
def test_tcpdump_lines(line: str, expected: tuple[int, int | None, int | None, str | None]) -> None:
    found = parse(line)
    assert (found.proto, found.sport, found.dport, found.indev) == expected
    assert (found.src, found.dst, found.kind) == (packed("198.51.100.7"), packed("203.0.113.9"), "tcpdump")


def test_tcpdump_v6_and_verbose() -> None:
    found = parse("10:00:00.0 IP6 2001:db8::1.40000 > 2001:db8::2.80: Flags [S.], seq 1, ack 2, win 1, length 0")
    assert (found.src, found.sport, found.dport, found.tcp_flags) == (packed("2001:db8::1"), 40000, 80, 18)
    verbose = parse("IP (tos 0x10, ttl 62, id 5, offset 0, flags [DF], proto UDP (17), length 88) 198.51.100.7.1 > 203.0.113.9.2: UDP, length 60")
    assert (verbose.tos, verbose.ttl, verbose.df, verbose.length) == (16, 62, True, 88)


def test_a_conntrack_entry_gives_its_original_direction() -> None:
    found = parse("tcp      6 431999 ESTABLISHED src=198.51.100.7 dst=203.0.113.9 sport=40000 dport=443 src=172.17.0.2 dst=198.51.100.7 "
                  "sport=8443 dport=40000 [ASSURED] mark=0 use=1")
    assert (found.proto, found.src, found.dst, found.sport, found.dport, found.kind) == \
        (6, packed("198.51.100.7"), packed("203.0.113.9"), 40000, 443, "conntrack")


@given(st.one_of(st.text(max_size=120), st.lists(st.sampled_from(
    ["IN=eth0", "SRC=1.2.3.4", "DST=5.6.7.8", "PROTO=TCP", "SPT=x", "LEN=", "MAC=0", "IP", ">", "1.2.3.4.5", "IP6", "src=1", "tcp", "[S]", "("]),
    max_size=12).map(" ".join)))
def test_any_line_gives_a_packet_or_one_clear_error(line: str) -> None:
    try:
        assert isinstance(parse(line), LoggedPacket)
    except CliError as error:
        assert error.code == "malformed-log-line"
