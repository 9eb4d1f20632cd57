"""The changes a fix may propose. Each names one namespace and one thing to be different there."""

from __future__ import annotations

from pktdiag.model.host import ConntrackTuple, Route, RouteRule
from pktdiag.model.record import NamedTuple


class SetSysctl(NamedTuple):
    """A file of /proc/sys gets another value."""

    netns: str
    path: str
    value: str


class InsertNftRule(NamedTuple):
    """A rule at the head of an nft chain (``nft insert rule``); for iptables-nft chains too."""

    netns: str
    family: int
    table: str
    chain: str
    payload: bytes
    """NFT_MSG_NEWRULE payload, as ``nft_rule.rule`` builds it."""
    position: int = 0
    """How many rules stay in front of it."""


class AddNatChain(NamedTuple):
    """A nat chain of its own in a table of its own, one step before the chains already there; stands for a rule inserted
    at the head of the nat hook, whichever tool inserts it."""

    netns: str
    family: int
    hook: int
    priority: int
    payloads: tuple[bytes, ...]


class InsertLegacyRule(NamedTuple):
    """A rule at the head of a legacy iptables chain."""

    netns: str
    family: int
    table: str
    chain: str
    entry: bytes
    """struct ipt_entry / ip6t_entry with its target, as ``xt_rule.accept_entry`` builds it."""


class ChangeLink(NamedTuple):
    """Fields of one interface: {"flags": …, "mtu": …, "port": {…}}; ``port`` is merged into the old one."""

    netns: str
    ifindex: int
    fields: dict[str, object]


class AddRoute(NamedTuple):
    netns: str
    family: int
    route: Route


class RemoveRoute(NamedTuple):
    netns: str
    family: int
    route: Route


class AddRouteRule(NamedTuple):
    """Ahead of all others of its priority."""

    netns: str
    family: int
    rule: RouteRule


class RemoveRouteRule(NamedTuple):
    netns: str
    family: int
    priority: int


class ForgetConnection(NamedTuple):
    """``conntrack -D``: the entry whose original direction is ``orig`` is gone."""

    netns: str
    orig: ConntrackTuple


class RemoveIpsecPolicy(NamedTuple):
    netns: str
    payload: bytes
    """As the view has it."""


Change = (SetSysctl | InsertNftRule | AddNatChain | InsertLegacyRule | ChangeLink | AddRoute | RemoveRoute | AddRouteRule
          | RemoveRouteRule | ForgetConnection | RemoveIpsecPolicy)
