"""``ADDRESS[:PORT][/PROTO]`` as people write it, and as they get it wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktdiag.cli.endpoint import parse
from pktdiag.cli.errors import CliError
from pktdiag.model.packet import parse_address


@pytest.mark.parametrize(("text", "address", "name", "port", "proto"), [
    ("10.0.0.5", "10.0.0.5", "", None, None), ("10.0.0.5:8000/udp", "10.0.0.5", "", 8000, 17), ("10.0.0.5/icmp", "10.0.0.5", "", None, 1),
    ("[2001:db8::5]:443", "2001:db8::5", "", 443, None), ("2001:db8::5", "2001:db8::5", "", None, None), ("[::1]", "::1", "", None, None),
    ("[::1]/icmpv6", "::1", "", None, 58), ("web1:80", None, "web1", 80, None), ("web1", None, "web1", None, None),
    ("host:53/UDP", None, "host", 53, 17), ("ns:blue", None, "ns:blue", None, None), ("ns:blue:80/sctp", None, "ns:blue", 80, 132),
    ("pid:42", None, "pid:42", None, None), ("pid:42:80", None, "pid:42", 80, None), ("10.0.0.1/47", "10.0.0.1", "", None, 47),
    ("kube-system/coredns", None, "kube-system/coredns", None, None), ("kube-system/coredns:53/udp", None, "kube-system/coredns", 53, 17),
])
def test_what_people_write(text: str, address: str | None, name: str, port: int | None, proto: int | None) -> None:
    found = parse(text)
    assert found.address == (parse_address(address) if address else None)
    assert (found.name, found.port, found.proto) == (name, port, proto)


@pytest.mark.parametrize(("text", "code"), [
    ("", "malformed-address"), (":80", "malformed-address"), ("10.0.0.256", "malformed-address"), ("10.0.0", "malformed-address"),
    ("10.0.0.5:99999", "malformed-port"), ("10.0.0.5:", "malformed-port"), ("web1:http", "malformed-port"), ("web1:0", "malformed-port"),
    ("[::1", "malformed-address"), ("[10.0.0.1]:80", "malformed-address"), ("2001:db8::5:99999999", "malformed-address"),
    ("10.0.0.5/xyz", "unknown-protocol"), ("10.0.0.0/24", "malformed-address"), ("pid:x", "malformed-address"), ("ns:", "malformed-address"),
    ("[::1]x80", "malformed-address"), ("10.0.0.1:\u0661", "malformed-port"),
])
def test_mistakes_have_a_code_and_advice(text: str, code: str) -> None:
    with pytest.raises(CliError) as caught:
        parse(text)
    assert caught.value.code == code
    assert caught.value.todo
    assert "\n" not in caught.value.line()


def test_a_source_has_no_protocol() -> None:
    with pytest.raises(CliError, match="protocol"):
        parse("10.0.0.1:80/udp", with_proto=False)


@given(st.text(max_size=40))
def test_no_text_is_a_crash(text: str) -> None:
    try:
        found = parse(text)
    except CliError as error:
        assert error.line().isprintable()
        return
    assert (found.address is None) != (found.name == "")
