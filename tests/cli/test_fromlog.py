"""Lines as the kernel, tcpdump and conntrack really print them."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktdiag.cli.errors import CliError
from pktdiag.cli.fromlog import LoggedPacket, parse
from pktdiag.model.packet import parse_address as packed
from tests.netfilter.nft.packets import frame
from tests.netfilter.test_headers_against_kernel import PACKETS


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


def test_options_and_fragments_of_a_log_line() -> None:
    head = "IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 LEN=64 TOS=0x00 PREC=0x00 TTL=64 ID=1 "
    found = parse(head + "DF OPT (94040000) PROTO=TCP SPT=1 DPT=2 WINDOW=1 RES=0x00 SYN URGP=0 OPT (020405B4)").headers
    assert (found.ip_options, found.tcp_options, found.offset, found.more, found.unsaid) == (b"\x94\4\0\0", b"\2\4\5\xb4", 0, False, "")
    found = parse(head + "MF FRAG:185 PROTO=UDP").headers
    assert (found.offset, found.more, found.ip_options) == (1480, True, b"")
    head = "IN=eth0 OUT= SRC=2001:db8::1 DST=2001:db8::2 LEN=64 TC=0 HOPLIMIT=64 FLOWLBL=0 "
    found = parse(head + "FRAG:1448 INCOMPLETE ID:0000000a PROTO=UDP").headers
    assert (found.ext_headers, found.offset, found.more) == (((44, bytes.fromhex("000005a90000000a")),), 1448, True)
    found = parse(head + "OPT ( ) OPT ( FRAG:0 INCOMPLETE ID:00000005 ) PROTO=UDP SPT=1 DPT=2 LEN=40").headers
    assert found.more
    assert found.ext_headers == ((44, bytes.fromhex("0000000100000005")),)
    assert "extension headers" in found.unsaid


def test_options_and_fragments_of_tcpdump() -> None:
    four = "IP (tos 0x0, ttl 64, id 1, offset {}, flags [{}], proto UDP (17), length 548{}) 192.0.2.1{} > 192.0.2.2{}: {}"
    found = parse(four.format(1480, "none", "", "", "", "ip-proto-17"))
    assert (found.proto, found.headers.offset, found.headers.more, found.headers.ip_options) == (17, 1480, False, b"")
    headers = parse(four.format(0, "+", ", options (RA value 1)", ".1", ".2", "UDP, length 512")).headers
    assert (headers.offset, headers.more, headers.ip_options, headers.unsaid) == (0, True, b"\x94\4\0\1", "")
    headers = parse(four.format(0, "DF", ", options (RR 192.0.2.7, 0.0.0.0,EOL)", ".1", ".2", "UDP, length 512")).headers
    assert (headers.ip_options, bool(headers.unsaid)) == (b"", True)
    pair = "2001:db8::1 > 2001:db8::2:"
    six = parse(f"IP6 (hlim 1, next-header Options (0) payload length: 36) {pair} HBH (rtalert: 0x0000) (padn) [icmp6 sum ok] ICMP6, echo request, id 7")
    assert (six.proto, six.icmp, six.headers.ext_headers) == (58, (128, 0), ((0, bytes.fromhex("0000050200000100")),))
    six = parse(f"IP6 {pair} HBH DSTOPT 1 > 53: Flags [S], seq 1, win 64240, length 0")
    assert (six.proto, six.sport, six.dport, six.tcp_flags, six.headers.ext_headers) == (6, 1, 53, 2, ())
    assert "not all in the line" in six.headers.unsaid


@pytest.mark.parametrize("name", ["hbh alert, dst", "rt0", "rt0 left", "rt2", "srh", "ah", "first fragment", "atomic fragment", "last fragment",
                                  "alert", "alert of another value", "nop and end", "record route", "first fragment4", "later fragment4"])
@pytest.mark.parametrize("verbose", [False, True])
def test_what_tcpdump_really_prints(name: str, verbose: bool, tmp_path: Path) -> None:
    """Nothing that is taken from the line is false; what is not taken is said, but for what tcpdump shows with -v only."""
    packet = PACKETS[name]
    data = frame(packet, bytes(6), bytes(6))
    (tmp_path / "one.pcap").write_bytes(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + struct.pack("=IIII", 0, 0, len(data), len(data)) + data)
    line = subprocess.run(["tcpdump", "-nn", "-t", *(["-v"] if verbose else []), "-r", tmp_path / "one.pcap"], capture_output=True, text=True,
                          check=True).stdout
    if name == "last fragment":
        with pytest.raises(CliError):
            parse(line)  # nobody tells what it carries
        return
    found = parse(line)
    assert (found.proto, found.src, found.dst, found.sport or 0, found.dport or 0) == (packet.proto, packet.src, packet.dst, packet.sport, packet.dport)
    taken = found.headers
    assert taken.offset == (packet.fragment_offset if verbose or ":" in line.split()[1] else 0)
    assert taken.ip_options in (b"", packet.ip_options)
    assert name == "atomic fragment" or taken.ext_headers in ((), packet.ext_headers)
    if verbose and name not in ("record route", "hbh alert, dst", "atomic fragment"):
        assert (taken.ip_options, taken.ext_headers, taken.more) == (packet.ip_options, packet.ext_headers, packet.more_fragments)
    assert taken.unsaid or not verbose or taken.ext_headers == packet.ext_headers or name == "atomic fragment"
