"""The packet options as numbers: marks, DSCP, TCP flags, ICMP types, MAC addresses, users, durations."""

from __future__ import annotations

from pktdiag.cli.errors import CliError, near

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

STATES = ("new", "established", "related", "invalid", "untracked")
TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ece": 64, "cwr": 128}
_TCP_LETTERS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, ".": 16, "U": 32, "E": 64, "W": 128, "C": 128}
ICMP_TYPES = {
    "echo-reply": (0, 0), "destination-unreachable": (3, 0), "network-unreachable": (3, 0), "host-unreachable": (3, 1),
    "protocol-unreachable": (3, 2), "port-unreachable": (3, 3), "fragmentation-needed": (3, 4), "redirect": (5, 0),
    "echo-request": (8, 0), "time-exceeded": (11, 0), "parameter-problem": (12, 0), "timestamp-request": (13, 0),
    "timestamp-reply": (14, 0), "address-mask-request": (17, 0), "address-mask-reply": (18, 0),
}
"""As iptables -p icmp -h names them (type, code)."""
ICMPV6_TYPES = {
    "destination-unreachable": (1, 0), "port-unreachable": (1, 4), "packet-too-big": (2, 0), "time-exceeded": (3, 0),
    "parameter-problem": (4, 0), "echo-request": (128, 0), "echo-reply": (129, 0), "router-solicitation": (133, 0),
    "router-advertisement": (134, 0), "neighbour-solicitation": (135, 0), "neighbour-advertisement": (136, 0),
    "redirect": (137, 0),
}


def number(option: str, text: str, top: int) -> int:
    """A decimal or 0x number of 0 to ``top``."""
    try:
        value = int(text, 0) if text.isascii() else -1
    except ValueError:
        value = -1
    if not 0 <= value <= top:
        raise CliError("malformed-number", f"--{option} {text!r} is not a number of 0 to {top}", "", "write it decimal or 0x…")
    return value


def limits(option: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise CliError("malformed-number", f"--{option} {value} is out of range", "", f"give {low} to {high}")
    return value


def state(text: str) -> str:
    """A conntrack state's name."""
    if text.lower() not in STATES:
        raise CliError("unknown-state", f"--state {text!r} is no conntrack state", near(text.lower(), list(STATES)),
                       f"use one of {', '.join(STATES)}")
    return text.lower()


def dscp(text: str) -> int:
    """A DSCP (0 to 63) by number or by name (RFC 2474, 2597, 3246, 5865, 8622)."""
    word = text.lower()
    names = {"be": 0, "df": 0, "default": 0, "ef": 46, "va": 44, "le": 1}
    names |= {f"cs{n}": n * 8 for n in range(8)}
    names |= {f"af{c}{d}": c * 8 + d * 2 for c in range(1, 5) for d in range(1, 4)}
    return names[word] if word in names else number("dscp", text, 63)


def tcp_flags(text: str) -> int:
    """The flag byte from ``syn,ack``, ``SA``, tcpdump's ``S.``, ``none`` or a number."""
    if text.lower() in ("none", ""):
        return 0
    words = text.lower().split(",")
    if all(word in TCP_FLAGS for word in words):
        return sum(TCP_FLAGS[word] for word in set(words))
    if all(letter in _TCP_LETTERS for letter in text):
        value = 0
        for letter in text:
            value |= _TCP_LETTERS[letter]
        return value
    if text[0].isdigit():
        return number("tcp-flags", text, 255)
    raise CliError("malformed-flags", f"--tcp-flags {text!r} is not understood", "",
                   f"write names ({','.join(TCP_FLAGS)}) or letters (SA)")


def icmp_type(text: str, ipv6: bool) -> tuple[int, int]:
    """(type, code) from a name or TYPE[/CODE]."""
    names = ICMPV6_TYPES if ipv6 else ICMP_TYPES
    if text.lower() in names:
        return names[text.lower()]
    kind, _, code = text.partition("/")
    if not kind[:1].isdigit():
        raise CliError("unknown-icmp-type", f"--icmp-type {text!r} is not known", near(text.lower(), list(names)),
                       "write TYPE[/CODE] as numbers, or one of " + ", ".join(names))
    return number("icmp-type", kind, 255), number("icmp-type", code, 255) if code else 0


def mac(option: str, text: str) -> bytes:
    """Six bytes from ``02:00:00:00:00:01`` (or with dashes)."""
    parts = text.replace("-", ":").split(":")
    try:
        if len(parts) == 6 and all(0 < len(part) < 3 for part in parts):
            return bytes(int(part, 16) for part in parts)
    except ValueError:
        pass
    raise CliError("malformed-mac", f"--{option} {text!r} is not a MAC address", "", "write it as 02:00:00:00:00:01")


def user(text: str) -> int:
    """A user id by number or by this host's user name."""
    import pwd
    return _account("uid", "user", text, lambda: pwd.getpwnam(text).pw_uid)


def group(text: str) -> int:
    """A group id by number or by this host's group name."""
    import grp
    return _account("gid", "group", text, lambda: grp.getgrnam(text).gr_gid)


def _account(option: str, kind: str, text: str, look_up: Callable[[], int]) -> int:
    if text.isascii() and text.isdigit():
        return number(option, text, 0xFFFFFFFE)
    try:
        return look_up()
    except KeyError:
        raise CliError(f"unknown-{kind}", f"--{option} {text!r} is no {kind} of this host", "", f"give a number or a {kind} name") from None


def group_of(uid: int) -> int | None:
    """A user's own group as this host knows it; None for a user it does not know."""
    if uid == 0:
        return 0
    import pwd
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return None


def duration(text: str) -> float:
    """Seconds from ``5s``, ``500ms``, ``1m`` or a bare number of seconds."""
    for unit, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("", 1.0)):
        digits = text[: len(text) - len(unit)] if unit else text
        if text.endswith(unit) and digits.replace(".", "", 1).isdigit() and digits.isascii():
            seconds = float(digits) * factor
            if 0 < seconds <= 3600:
                return seconds
    raise CliError("malformed-duration", f"--for {text!r} is not a time of up to one hour", "", "write it as 5s, 500ms or 1m")
