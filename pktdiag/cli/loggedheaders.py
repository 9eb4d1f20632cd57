"""IPv4 options, IPv6 extension headers and fragments as log lines and tcpdump name them: taken where they are given whole, said where not.

Formats: net/netfilter/nf_log_syslog.c (dump_ipv4_packet, dump_ipv6_packet, nf_log_dump_tcp_header); tcpdump's print-ip.c (ip_printopts),
print-ip6opts.c, print-frag6.c, print-rt6.c.
"""

from __future__ import annotations

from pktdiag.model.kernel import IPPROTO_AH, IPPROTO_DSTOPTS, IPPROTO_FRAGMENT, IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_TCP
from pktdiag.model.packet import Packet, parse_address
from pktdiag.model.record import NamedTuple

_WHOLE4 = {"NOP": b"\x01", "EOL": b"\0", "RA": b"\x94\x04\0\0"}
_NAMES6 = {"HBH": IPPROTO_HOPOPTS, "DSTOPT": IPPROTO_DSTOPTS}


class Headers(NamedTuple):
    """What a line says beside addresses, ports and the like."""

    ip_options: bytes = b""
    ext_headers: tuple[tuple[int, bytes], ...] = ()
    offset: int = 0
    """Of a fragment, bytes."""
    more: bool = False
    tcp_options: bytes | None = None
    unsaid: str = ""
    """What stands in the packet and not whole in the line: nothing of it is taken."""


NOTHING = Headers()


def of_kernel_log(words: list[str]) -> Headers:
    """``words`` of the line up to a quoted packet. "OPT (…)" in front of PROTO= is IPv4's (in hex) or an IPv6 header (whose content is
    not said), behind it TCP's."""
    fields = {word.partition("=")[0] for word in words}
    six = "HOPLIMIT" in fields
    made, more, unsaid, transport = NOTHING, "MF" in words, "", False
    at = 0
    while at < len(words):
        word = words[at]
        transport = transport or word.startswith("PROTO=")
        if word.startswith("FRAG:"):
            offset = int(word[5:]) if word[5:] else 0
            more = more or "INCOMPLETE" in words[at:at + 2]
            made = made._replace(offset=offset if six else offset * 8)
            following = next((each for each in words[at + 1:at + 3] if each.startswith("ID:")), "")
            if six and following:
                header = bytes((0, 0)) + (offset | more).to_bytes(2, "big") + bytes.fromhex(following[3:])
                made = made._replace(ext_headers=((IPPROTO_FRAGMENT, header),))
        elif word == "OPT":
            content = words[at + 1].strip("()") if at + 1 < len(words) else ""
            if transport:
                made = made._replace(tcp_options=bytes.fromhex(content))
            elif not six:
                made = made._replace(ip_options=bytes.fromhex(content))
            elif "FRAG:" not in "".join(words[at:at + 4]):
                unsaid = "IPv6 extension headers whose content is not in the line"
        at += 1
    return made._replace(more=more, unsaid=unsaid)


def of_tcpdump4(verbose: str) -> Headers:
    """tcpdump -v's parenthesis: "offset N, flags [+]" and "options (NOP,RA)"."""
    told = dict(zip(*[iter(verbose.replace(",", "").split())] * 2))
    offset = int(told["offset"]) if told.get("offset", "").isdigit() else 0
    inside = verbose.partition("options (")[2].partition(")")[0]
    names = [name.strip() for name in inside.split(",")] if inside else []
    raw, unsaid = b"", ""
    for name in names:
        if name in _WHOLE4:
            raw += _WHOLE4[name]
        elif name.startswith("RA value ") and name[9:].isdigit():
            raw += b"\x94\x04" + int(name[9:]).to_bytes(2, "big")
        else:
            raw, unsaid = b"", f"IPv4 options ({inside}), which are not taken"
            break
    return Headers(raw + bytes(-len(raw) % 4), (), offset, "flags [+" in verbose, None, unsaid)


def of_tcpdump6(rest: str) -> tuple[Headers, str]:
    """What stands in front of the transport protocol, and what is left behind it."""
    found: list[tuple[int, bytes]] = []
    offset, more, unsaid, note = 0, False, "", ""
    while True:
        word, _, behind = rest.partition(" ")
        if word in _NAMES6:
            options, rest = _parentheses(behind)
            header = _options(options)
            if header is None:
                unsaid = f"an IPv6 {word} header whose options are not all in the line"
            else:
                found.append((_NAMES6[word], header))
        elif word.startswith("AH("):
            inside, rest = parenthesis(rest[2:])
            rest = rest.removeprefix(":").lstrip()
            header = _auth(inside)
            if header is None:
                unsaid = "an authentication header that is not whole in the line"
            else:
                found.append((IPPROTO_AH, header))
        elif word in ("RT6", "srcrt"):
            text, rest = _parentheses(behind)
            header = _routing(text[0]) if text else None
            if header is None:
                unsaid = "an IPv6 routing header that is not whole in the line"
            else:
                found.append((IPPROTO_ROUTING, header))
        elif word == "frag":
            text, rest = _parentheses(behind)
            number, _, place = (text[0] if text else "").partition(":")
            start = (place or number).partition("|")[0]
            offset = int(start) if start.isdigit() else 0
            more = not offset
            if place and not offset:
                found.append((IPPROTO_FRAGMENT, bytes((0, 0, 0, 1)) + int(number, 16).to_bytes(4, "big")))
            note = "a fragment, and not whether more follow; " + ("none is taken to" if offset else "some are taken to")
        else:
            return Headers(b"", () if unsaid else tuple(found), offset, more, None, unsaid or note), rest


def parenthesis(text: str) -> tuple[str, str]:
    """(what stands in the parenthesis that ``text`` begins with, what follows it); IPv6's has one inside."""
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return text[1:at], text[at + 1:].lstrip()
    return text[1:], ""


def _parentheses(text: str) -> tuple[list[str], str]:
    """The parentheses that ``text`` begins with, and what follows them."""
    found = []
    while text.startswith("("):
        inside, _, text = text[1:].partition(")")
        found.append(inside)
        text = text.lstrip()
    return found, text


def _options(texts: list[str]) -> bytes | None:
    """The header with a router alert and the padding that makes it eight bytes; None: another one, or one shown without -v."""
    if len(texts) == 2 and texts[0].startswith("rtalert: 0x") and texts[1] == "padn":
        return b"\0\0\5\2" + int(texts[0][9:], 16).to_bytes(2, "big") + b"\1\0"
    return None


def _routing(text: str) -> bytes | None:
    """``len=2, type=0 [Deprecated], segleft=0, [0]2001:db8::1``; with -v also ``rsv=0x0``, and of segment routing ``flags=0x0``."""
    told = dict(part.partition("=")[::2] for part in text.replace(" [Deprecated]", "").split(", ") if "=" in part)
    addresses = [part.partition("]")[2] for part in text.split(", ") if part.startswith("[")]
    if int(told.get("len", "0")) != 2 * len(addresses):
        return None
    if told.get("type") in ("0", "2"):
        third = int(told.get("rsv", "0"), 16).to_bytes(4, "big")
    elif told.get("type") == "4" and "flags" in told:
        third = bytes((int(told["last-entry"]), int(told["flags"], 16))) + int(told["tag"], 16).to_bytes(2, "big")
    else:
        return None
    return bytes((0, 2 * len(addresses), int(told["type"]), int(told["segleft"]))) + third + b"".join(map(parse_address, addresses))


def _auth(text: str) -> bytes | None:
    """``[length=4(24-bytes),]spi=0x5,seq=0x9,icv=0x6969…``"""
    told = dict(part.partition("=")[::2] for part in text.split(",") if "=" in part)
    if not {"spi", "seq", "icv"} <= told.keys():
        return None
    icv = bytes.fromhex(told["icv"].removeprefix("0x"))
    return bytes((0, 1 + len(icv) // 4, 0, 0)) + int(told["spi"], 16).to_bytes(4, "big") + int(told["seq"], 16).to_bytes(4, "big") + icv


def applied(packet: Packet, said: Headers, notes: list[str]) -> Packet:
    """``packet`` with what the line says; what it only mentions becomes a note."""
    if said.unsaid:
        notes.append(f"the line tells of {said.unsaid}")
    made = packet._replace(ip_options=said.ip_options, ext_headers=said.ext_headers, fragment_offset=said.offset, more_fragments=said.more)
    if said.offset:
        return made._replace(sport=0, dport=0, tcp_flags=0, tcp_options=b"", unknown=made.unknown - {"tcp_options"})
    if said.tcp_options is not None and packet.proto == IPPROTO_TCP:
        made = made._replace(tcp_options=said.tcp_options, unknown=made.unknown - {"tcp_options"})
    return made
