"""A packet from a pasted line: the kernel's LOG target, ebtables' log, tcpdump, or conntrack.

Formats: net/netfilter/nf_log_syslog.c (dump_ipv4_packet, dump_ipv6_packet, dump_mac_header), net/bridge/netfilter/ebt_log.c
(ebt_log_packet); tcpdump's print-ip, print-tcp, print-udp; libnetfilter_conntrack's snprintf_default and /proc/net/nf_conntrack
(nf_conntrack_standalone.c).
"""

from __future__ import annotations

from pktdiag.cli.endpoint import parse_proto
from pktdiag.cli.errors import CliError
from pktdiag.cli.fields import TCP_FLAGS
from pktdiag.cli.loggedheaders import NOTHING, Headers, of_kernel_log, of_tcpdump4, of_tcpdump6, parenthesis
from pktdiag.model.kernel import IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP, PORT_PROTOS, PROTO_NAMES
from pktdiag.model.packet import parse_address
from pktdiag.model.record import NamedTuple


class LoggedPacket(NamedTuple):
    """What the line says; None where it says nothing."""

    src: bytes
    dst: bytes
    proto: int
    sport: int | None = None
    dport: int | None = None
    length: int | None = None
    ttl: int | None = None
    tos: int | None = None
    df: bool | None = None
    mark: int | None = None
    tcp_flags: int | None = None
    icmp: tuple[int, int] | None = None
    indev: str | None = None
    """Interface it came in on; None also for a packet of the host's own."""
    src_mac: bytes | None = None
    kind: str = "log"
    """"log", "tcpdump" or "conntrack"."""
    headers: Headers = NOTHING
    uid: int | None = None
    gid: int | None = None
    """Of the sending socket (--log-uid)."""


def parse(line: str) -> LoggedPacket:
    """Reads one line. Raises CliError when it is of no such kind."""
    line = " ".join(line.split())
    for reader in (_ebtables if " MAC source = " in line else _kernel_log, _conntrack, _tcpdump):
        try:
            found = reader(line)
        except (ValueError, IndexError):
            found = None
        if found is not None:
            return found
    raise CliError("malformed-log-line", "the line given with --from-log holds no packet", "",
                   "paste one line of the kernel's LOG target (SRC=… DST=… PROTO=…), ebtables --log-ip, tcpdump -n, or conntrack -L")


def _kernel_log(line: str) -> LoggedPacket | None:
    words = line.split("[", 1)[0].split() if " INCOMPLETE [" in line else line.split()
    fields: dict[str, str] = {}
    flags: list[str] = []
    for at, word in enumerate(words):
        if word.startswith("["):  # an ICMP error quotes the packet it is about: not ours
            if "SRC" in fields:
                words = words[:at]
                break
            continue
        key, equals, value = word.partition("=")
        if equals and key.isupper():
            fields.setdefault(key, value)  # UDP repeats LEN: the first is the IP packet's
        elif "PROTO" in fields or word == "DF":
            flags.append(word)
    if not {"SRC", "DST", "PROTO"} <= fields.keys():
        return None
    proto = parse_proto(fields["PROTO"])
    if proto is None:
        return None
    icmp = (int(fields["TYPE"]), int(fields.get("CODE", "0"))) if "TYPE" in fields else None
    tos = int(fields["TOS"], 16) | int(fields.get("PREC", "0"), 16) if "TOS" in fields else int(fields["TC"]) if "TC" in fields else None
    return LoggedPacket(
        parse_address(fields["SRC"]), parse_address(fields["DST"]), proto, _int(fields.get("SPT")), _int(fields.get("DPT")),
        _int(fields.get("LEN")), _int(fields.get("TTL") or fields.get("HOPLIMIT")), tos,
        "DF" in flags if "TTL" in fields else None, int(fields["MARK"], 16) if "MARK" in fields else None,
        sum(bit for name, bit in TCP_FLAGS.items() if name.upper() in flags) if proto == IPPROTO_TCP else None,
        icmp, fields.get("PHYSIN") or fields.get("IN") or None, _sender(fields), "log",
        of_kernel_log(words[next(i for i, word in enumerate(words) if word.startswith("SRC=")):]),
        *(int(text) if (text := fields.get(name, "")).isdigit() else None for name in ("UID", "GID")))


def _sender(fields: dict[str, str]) -> bytes | None:
    """Its MAC address, from the whole header or from --log-macdecode's words."""
    if "MACSRC" in fields:
        return bytes.fromhex(fields["MACSRC"].replace(":", ""))
    header = bytes.fromhex(fields.get("MAC", "").replace(":", ""))
    return header[6:12] if len(header) == 14 else None


def _ebtables(line: str) -> LoggedPacket | None:
    """What ebtables logs, said as the others say it. An IPv6 packet behind extension headers is not told apart from them."""
    from re import search

    from pktdiag.model.exthdr import EXTENSIONS

    found = search(r"(.*) MAC source = (\S+) MAC dest = (\S+) proto = 0x(..)(..) (?:"
                   r"IP SRC=(\S+) IP DST=(\S+), IP tos=(\S+), IP proto=(\d+)|"
                   r"IPv6 SRC=(\S+) IPv6 DST=(\S+), IPv6 priority=\S+ Next Header=(\d+))(.*)", line)
    if found is None:
        return None
    head, source, target, high, low, *of_packet, ports = found.groups()
    src, dst, tos, proto = of_packet[:4] if of_packet[0] else (*of_packet[4:6], "", of_packet[6])
    if ("SPT=" in ports) != (int(proto) in PORT_PROTOS) or (":" in src and int(proto) in EXTENSIONS):
        return None
    return _kernel_log(f"{head} MAC={target}:{source}:{high}:{low} SRC={src} DST={dst} {f'TOS={tos} ' if tos else ''}PROTO={proto}{ports}")


def _conntrack(line: str) -> LoggedPacket | None:
    """The original direction of an entry: ``tcp 6 431999 ESTABLISHED src=… dst=… sport=… dport=… src=…``."""
    fields: dict[str, str] = {}
    proto: int | None = None
    for word in line.split():
        key, equals, value = word.partition("=")
        if equals:
            fields.setdefault(key, value)
        elif proto is None:
            proto = parse_proto(word) if not word.isdigit() else None
    if proto is None or not {"src", "dst"} <= fields.keys():
        return None
    icmp = (int(fields["type"]), int(fields.get("code", "0"))) if "type" in fields else None
    return LoggedPacket(parse_address(fields["src"]), parse_address(fields["dst"]), proto, _int(fields.get("sport")),
                        _int(fields.get("dport")), icmp=icmp, kind="conntrack")


def _tcpdump(line: str) -> LoggedPacket | None:
    """``[TIME] [IFACE In|Out|…] IP SRC.PORT > DST.PORT: Flags [S], … length N``; -v's parenthesis and -e's link header are
    understood too."""
    line, src_mac = _without_link_header(line)
    words = line.split()
    at = next((i for i, word in enumerate(words) if word in ("IP", "IP6")), -1)
    if at < 0:
        return None
    indev = words[at - 2] if at >= 2 and words[at - 1] in ("In", "P", "M", "B") else None
    verbose = ""
    head, rest = " ".join(words[at + 1:]), ""
    if head.startswith("("):
        verbose, head = parenthesis(head)
    head, _, rest = head.partition(": ")
    left, arrow, right = head.rstrip(":").partition(" > ")
    if not arrow:
        return None
    ipv6 = words[at] == "IP6"
    (src, sport), (dst, dport) = _dotted(left, ipv6), _dotted(right, ipv6)
    headers = NOTHING
    if ipv6:
        headers, rest = of_tcpdump6(rest)
        ports, colon, more = rest.partition(": ")
        near, arrow, far = ports.partition(" > ")
        if colon and arrow and near.isdigit() and far.isdigit():  # behind extension headers they stand apart from the addresses
            sport, dport, rest = int(near), int(far), more
    elif verbose:
        headers = of_tcpdump4(verbose)
    if rest.startswith(("[icmp", "[udp", "[bad ")):
        rest = rest.partition("] ")[2]
    icmp: tuple[int, int] | None = None
    flags: int | None = None
    if "Flags [" in rest:
        proto = IPPROTO_TCP
        letters = rest.partition("Flags [")[2].partition("]")[0]
        flags = sum({"F": 1, "S": 2, "R": 4, "P": 8, ".": 16, "U": 32, "E": 64, "W": 128}.get(c, 0) for c in letters)
    elif rest.startswith(("ICMP", "ICMP6")):
        proto = IPPROTO_ICMPV6 if ipv6 else IPPROTO_ICMP
        icmp = next((kind for words_, kind in (_ICMP6_WORDS if ipv6 else _ICMP_WORDS) if words_ in rest), None)
        if icmp is None:
            return None  # better no answer than one about an echo request
        sport = dport = None
    elif sport is not None:
        proto = IPPROTO_UDP
    else:
        number = next((n for n, name in PROTO_NAMES.items() if rest.lower().startswith(name)), None)
        if rest.startswith("ip-proto-"):  # so it calls what a later fragment carries
            number = int(rest[9:].split()[0])
        if number is None:
            return None
        proto = number
    told = dict(zip(*[iter(verbose.replace(",", "").split())] * 2)) if verbose else {}
    size = verbose.rpartition("length ")[2].partition(",")[0] if "length " in verbose else None
    return LoggedPacket(src, dst, proto, sport, dport, _int(size),
                        _int(told.get("ttl") or told.get("hlim")), int(told["tos"], 16) if "tos" in told else None,
                        "[DF]" in verbose if verbose and not ipv6 else None, None, flags, icmp, indev, src_mac, "tcpdump", headers)


_ICMP_WORDS = (("echo reply", (0, 0)), ("echo request", (8, 0)), ("need to frag", (3, 4)), ("admin prohibited filter", (3, 13)),
               ("admin prohibited", (3, 10)), ("udp port", (3, 3)), ("tcp port", (3, 3)), ("protocol", (3, 2)), ("host", (3, 1)),
               ("net ", (3, 0)), ("time exceeded in-transit", (11, 0)), ("ip reassembly time exceeded", (11, 1)), ("redirect", (5, 1)),
               ("time stamp query", (13, 0)), ("time stamp reply", (14, 0)))
_ICMP6_WORDS = (("echo reply", (129, 0)), ("echo request", (128, 0)), ("packet too big", (2, 0)), ("unreachable route", (1, 0)),
                ("unreachable prohibited", (1, 1)), ("unreachable address", (1, 3)), ("unreachable port", (1, 4)),
                ("time exceeded in-transit", (3, 0)), ("neighbor solicitation", (135, 0)), ("neighbor advertisement", (136, 0)))
"""tcpdump's words (print-icmp.c: icmp_print; print-icmp6.c: icmp6_print), the longer ones first."""


def _without_link_header(line: str) -> tuple[str, bytes | None]:
    """What -e puts in between: ``MAC > MAC, ethertype IPv4 (0x0800), length 74: …`` (one device) or ``ifindex 2 MAC ethertype IPv4
    (0x0800), length 80: …`` (-i any); vlan tags before the ethertype. The line as it is without -e, and the sender's MAC address."""
    before, told, after = line.partition("ethertype IPv")
    if not told or after[:1] not in "46":
        return line, None
    words = before.split()
    macs = [word.rstrip(",") for word in words if word.rstrip(",").count(":") == 5]
    if not macs:
        return line, None
    head = words[:words.index("ifindex") if "ifindex" in words else next(i for i, word in enumerate(words) if word.rstrip(",") == macs[0])]
    version, rest = after[0], after.partition("), ")[2]
    if rest.startswith("length "):
        rest = rest.partition(": ")[2]
    return " ".join([*head, "IP" if version == "4" else "IP6", rest]), bytes.fromhex(macs[0].replace(":", ""))


def _dotted(text: str, ipv6: bool) -> tuple[bytes, int | None]:
    """``10.0.0.1.53`` -> (address, 53); a port by name (without -n) raises ValueError."""
    dots = text.count(".")
    if dots == (1 if ipv6 else 4):
        address, _, port = text.rpartition(".")
        return parse_address(address), int(port)
    return parse_address(text), None


def _int(text: str | None) -> int | None:
    return int(text) if text else None
