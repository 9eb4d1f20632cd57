"""nfacct: counts into a named object; with a quota, matches once it is used up. net/netfilter/xt_nfacct.c: nfacct_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, quoted, text

_MANY = 64
"""So often a walk does not come by an object."""


def decode(rev: int, data: bytes, family: int) -> str:
    """The object's name."""
    if rev > 1:
        raise UnknownRevisionError
    return text(unpack_from("32s", data)[0])


def evaluate(info: str, ctx: HookContext) -> Tri:
    """nfnl_acct_overquota(): without a quota it always matches, else beyond it, this packet included. How often the packet met the object
    on its way is not kept, so close to the quota it is open."""
    found = ctx.ns.accounting_object(info)
    if found is None:
        return Unknown(f"the accounting object {info} has no quota, or one that is used up")
    if found.quota is None:
        return True
    used, each = (found.bytes, ctx.skb.packet.length) if found.of_bytes else (found.packets, 1)
    if used > found.quota:
        return True
    if used + _MANY * each <= found.quota:
        return False
    unit = "bytes" if found.of_bytes else "packets"
    return Unknown(f"the quota of the accounting object {info} is used up ({used} of {found.quota} {unit} so far)")


def render(info: str, family: int) -> str:
    return f"--nfacct-name  {quoted(info)}"  # two blanks: so iptables-save has it
