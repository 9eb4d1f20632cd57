"""The words causes share: places, senders' error messages, comments, sentences."""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, place
from pktdiag.model.kernel import IPPROTO_TCP
from pktdiag.model.trace import RuleRef
from pktdiag.model.view import NamespaceView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# What connect(), send() or recv() tell the sender's program: net/ipv4/icmp.c icmp_err_convert, net/ipv6/icmp.c tab_unreach;
# a reset while connecting is ECONNREFUSED (net/ipv4/tcp_input.c tcp_reset).
_SENDER_READS = {
    "tcp reset": "Connection refused", "icmp port-unreachable": "Connection refused", "icmpv6 port-unreachable": "Connection refused",
    "icmp host-unreachable": "No route to host", "icmp host-prohibited": "No route to host", "icmp admin-prohibited": "No route to host",
    "icmp net-unreachable": "Network is unreachable", "icmp net-prohibited": "Network is unreachable",
    "icmp proto-unreachable": "Protocol not available", "icmpv6 admin-prohibited": "Permission denied",
    "icmpv6 addr-unreachable": "No route to host", "icmpv6 no-route": "Network is unreachable",
}


def at(case: Case, ns: NamespaceView | None = None) -> str:
    """"on this host", "in container web1"."""
    where = place(case, ns)
    return f"on {where}" if where == "this host" else f"in {where}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """With a capital and a full stop, once."""
    text = capital(text.strip())
    return text if not text or text.endswith((".", "?", "!", '."')) else text + "."


_TELLS_UDP = ("port-unreachable", "proto-unreachable", "prohibited")
"""Connected UDP sockets are told of the errors that icmp_err_convert calls fatal only (net/ipv4/udp.c: __udp4_lib_err); a
connecting TCP socket of all (net/ipv4/tcp_ipv4.c: tcp_v4_err)."""


def sender_reads(answer: str | None, proto: int) -> str:
    """The error message the sender's program gets for an answer, or ""."""
    if not answer or (proto != IPPROTO_TCP and not answer.endswith(_TELLS_UDP)):
        return ""
    return _SENDER_READS.get(answer, "")


def rejected(case: Case) -> str:
    """"Dropped" or "Rejected with icmp …", the answer's message in the sender's own words beside it."""
    answer = case.drop.answer
    if not answer:
        return "dropped"
    message = sender_reads(answer, case.packet.proto)
    misleading = message in ("No route to host", "Network is unreachable") and case.drop.rule is not None
    told = f' (the sender reads "{message}"{", although the route is there" if misleading else ""})' if message else ""
    return f"rejected with {answer}{told}"


def rule_name(rule: RuleRef) -> str:
    """As a sentence begins with it."""
    return f"Rule {rule.index} of {rule.table} {rule.chain}"


def comment_of(rule: str) -> str:
    """The comment in a rule's text as iptables-save or nft print it, or ""; of several the last. Calico's hashes are none."""
    found, before, word = "", "", ""
    for following in _words(rule):
        if word in ("comment", "--comment") and before != "-m" and not following.startswith("cali:"):
            found = following
        before, word = word, following
    return found


def _words(rule: str) -> Iterator[str]:
    """Of a rule's text, those in quotes as one and without them."""
    at_ = 0
    while at_ < len(rule):
        if rule[at_] == " ":
            at_ += 1
            continue
        end = at_ + 1
        if rule[at_] == '"':
            while end < len(rule) and rule[end] != '"':
                end += 2 if rule[end] == "\\" else 1
            yield rule[at_ + 1:end].replace('\\"', '"')
        else:
            while end < len(rule) and rule[end] != " ":
                end += 1
            yield rule[at_:end]
        at_ = end + 1



def without_counter(rule: str) -> str:
    """An nft rule's text without the counter's numbers, which change."""
    words = rule.split(" ")
    out: list[str] = []
    skip = 0
    for number, word in enumerate(words):
        if skip:
            skip -= 1
        elif word == "counter" and words[number + 1:number + 2] == ["packets"]:
            skip = 4
        else:
            out.append(word)
    return " ".join(out)
