"""``ADDRESS[:PORT][/PROTO]``: the grammar of SRC and DST, after docker's ``-p`` habit. Text in, data out; no host needed."""

from __future__ import annotations

from pktdiag.cli.errors import CliError
from pktdiag.model.kernel import PROTO_NAMES, PROTO_NUMBERS
from pktdiag.model.packet import parse_address
from pktdiag.model.record import NamedTuple

EXAMPLES = "write ADDRESS[:PORT][/PROTO], as 10.0.0.5:8000/udp, [2001:db8::5]:443 or web1:80"


class Endpoint(NamedTuple):
    """One end as written."""

    text: str
    """As typed, for messages."""
    address: bytes | None
    """Packed, where it is an IP address."""
    name: str
    """A container, ``ns:NAME``, ``pid:N`` or ``host``; "" where ``address`` is given."""
    port: int | None
    proto: int | None
    zone: str = ""
    """The device of a link-local address (``fe80::1%eth0``, RFC 4007), by name or ifindex."""


def parse(text: str, with_proto: bool = True) -> Endpoint:
    """Reads one endpoint. Raises CliError with what is wrong and how to write it."""
    rest, proto = _split_proto(text, with_proto)
    if not rest:
        raise CliError("malformed-address", f"{text!r} has no address", "", EXAMPLES)
    if rest.startswith("["):
        inside, bracket, tail = rest[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise CliError("malformed-address", f"{text!r} is not a bracketed IPv6 address", "", EXAMPLES)
        address, zone = _scoped(inside)
        if address is None or len(address) != 16:
            raise CliError("malformed-address", f"{inside!r} is not an IPv6 address", "", EXAMPLES)
        return Endpoint(text, address, "", _port(tail[1:], text) if tail else None, proto, zone)
    address, zone = _scoped(rest)
    if address is not None:
        return Endpoint(text, address, "", None, proto, zone)
    head, port = rest, None
    scheme, colon, tail = rest.partition(":")
    if scheme in ("ns", "pid") and colon:
        name, colon, port_text = tail.partition(":")
        if not name or (scheme == "pid" and not (name.isascii() and name.isdigit())):
            raise CliError("malformed-address", f"{text!r} names no {'process' if scheme == 'pid' else 'namespace'}", "",
                           f"write {scheme}:{'N' if scheme == 'pid' else 'NAME'}[:PORT]")
        head, port = f"{scheme}:{name}", _port(port_text, text) if colon else None
    elif rest.count(":") == 1:
        head, _, port_text = rest.partition(":")
        port = _port(port_text, text)
        address = _address(head)
    elif colon:
        raise CliError("malformed-address", f"{text!r} is not an IPv6 address",
                       "", "with a port, put the address in brackets: [2001:db8::5]:443")
    if not head:
        raise CliError("malformed-address", f"{text!r} has no address", "", EXAMPLES)
    if address is None and _looks_like_ipv4(head):
        raise CliError("malformed-address", f"{head!r} is not an IPv4 address", "it takes four numbers of 0 to 255",
                       EXAMPLES)
    return Endpoint(text, address, head if address is None else "", port, proto)


def parse_proto(word: str) -> int | None:
    """A protocol by IANA name or number; None when it is neither."""
    word = word.lower()
    if word in PROTO_NUMBERS:
        return PROTO_NUMBERS[word]
    if word in ("icmp6", "ipv6-icmp"):
        return PROTO_NUMBERS["icmpv6"]
    return int(word) if word.isascii() and word.isdigit() and len(word) < 4 and int(word) < 256 else None


def _split_proto(text: str, allowed: bool) -> tuple[str, int | None]:
    head, slash, tail = text.rpartition("/")
    if not slash:
        return text, None
    proto = parse_proto(tail)
    if proto is None:
        if _address(head.strip("[]")) is None and ":" not in head and not _looks_like_ipv4(head):
            return text, None  # a name with a slash in it, as Kubernetes pods have
        raise CliError("unknown-protocol", f"{tail!r} is no protocol", "",
                       f"use one of {', '.join(PROTO_NAMES.values())}, or a number")
    if not allowed:
        raise CliError("malformed-address", f"SRC {text!r} has a protocol", "", "the protocol belongs to DST: DST/PROTO")
    if tail.isdigit() and proto not in PROTO_NAMES and _address(head) is not None:
        raise CliError("malformed-address", f"{text!r} looks like a whole subnet", "a walk takes one packet to one address",
                       f"write one address, e.g. {head}")
    return head, proto


def _address(text: str) -> bytes | None:
    try:
        return parse_address(text)
    except ValueError:
        return None


def _scoped(text: str) -> tuple[bytes | None, str]:
    """``ADDRESS[%ZONE]``; CliError where the address is IPv6 and takes no zone."""
    head, percent, zone = text.partition("%")
    address = _address(head)
    if not percent or address is None or len(address) != 16:
        return (address, "") if not percent else (None, "")
    from pktdiag.walk.addresses import is_link_local  # few write a zone

    if not is_link_local(address) and not (address[0] == 0xFF and address[1] & 0xF in (1, 2)):
        raise CliError("malformed-address", f"{head} is no link-local address, and takes no %{zone}",
                       "only fe80:: and ff02:: addresses are on one link", f"write {head}")
    if not zone:
        raise CliError("malformed-address", f"{text!r} names no device", "", f"write {head}%DEVICE, as {head}%eth0")
    return address, zone


def _looks_like_ipv4(text: str) -> bool:
    return bool(text) and "." in text and all(c in "0123456789." for c in text)


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or not 0 < int(text) < 65536:
        raise CliError("malformed-port", f"{text!r} in {whole!r} is no port", "ports are 1 to 65535", EXAMPLES)
    return int(text)
