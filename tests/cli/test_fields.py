"""The packet options, right and wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pktdiag.cli import fields
from pktdiag.cli.errors import CliError


@pytest.mark.parametrize(("call", "value"), [
    (lambda: fields.number("mark", "0x10", 255), 16), (lambda: fields.dscp("ef"), 46), (lambda: fields.dscp("AF41"), 34),
    (lambda: fields.dscp("cs6"), 48), (lambda: fields.dscp("12"), 12), (lambda: fields.tcp_flags("syn,ack"), 18),
    (lambda: fields.tcp_flags("SA"), 18), (lambda: fields.tcp_flags("S."), 18), (lambda: fields.tcp_flags("none"), 0),
    (lambda: fields.tcp_flags("0x12"), 18), (lambda: fields.icmp_type("echo-reply", False), (0, 0)),
    (lambda: fields.icmp_type("3/4", False), (3, 4)), (lambda: fields.icmp_type("port-unreachable", True), (1, 4)),
    (lambda: fields.mac("src-mac", "02:00:00:00:00:0a"), b"\x02\0\0\0\0\x0a"), (lambda: fields.user("0"), 0), (lambda: fields.user("root"), 0),
    (lambda: fields.duration("500ms"), 0.5), (lambda: fields.duration("2"), 2.0), (lambda: fields.duration("1m"), 60.0),
    (lambda: fields.state("NEW"), "new"),
])
def test_values(call: Callable[[], Any], value: Any) -> None:
    assert call() == value


@pytest.mark.parametrize(("call", "code"), [
    (lambda: fields.number("mark", "-1", 9), "malformed-number"), (lambda: fields.number("mark", "1x", 9), "malformed-number"),
    (lambda: fields.dscp("64"), "malformed-number"), (lambda: fields.tcp_flags("syn,foo"), "malformed-flags"),
    (lambda: fields.icmp_type("echo", False), "unknown-icmp-type"), (lambda: fields.mac("src-mac", "02:00"), "malformed-mac"),
    (lambda: fields.user("no such user"), "unknown-user"), (lambda: fields.duration("5h"), "malformed-duration"),
    (lambda: fields.duration("0s"), "malformed-duration"), (lambda: fields.duration("nan"), "malformed-duration"),
    (lambda: fields.state("establised"), "unknown-state"),
])
def test_mistakes(call: Callable[[], Any], code: str) -> None:
    with pytest.raises(CliError) as caught:
        call()
    assert caught.value.code == code


def test_a_near_state_is_proposed() -> None:
    with pytest.raises(CliError, match="establised") as caught:
        fields.state("establised")
    assert "established" in caught.value.why
