"""Routing said no: reverse path, martians, no route, a route that refuses."""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, place
from pktdiag.explain.whatif.changes import SetSysctl
from pktdiag.model.kernel import AF_INET
from pktdiag.model.packet import format_address


def _ip(case: Case) -> str:
    return "ip" if case.packet.family == AF_INET else "ip -6"


def rp_filter(case: Case) -> Finding:
    """Strict reverse path filtering: the larger of conf.all and conf.DEVICE rules."""
    dev = case.drop.device
    src = format_address(case.packet.src)
    values = {name: case.ns.sysctl(f"net/ipv4/conf/{name}/rp_filter") for name in ("all", dev)}
    evidence = [f"net.ipv4.conf.{name}.rp_filter={value} (the larger of the two rules): "
                + inside(case, f"sysctl net.ipv4.conf.{name}.rp_filter") for name, value in values.items()]
    evidence.append(f"The way back to {src}: {inside(case, f'ip route get {src}')}")
    evidence.append("Counter it moves: TcpExtIPReversePathFilter")
    loose = Proposal(f"loosen reverse path filtering on {dev}", (inside(case, f"sysctl -w net.ipv4.conf.{dev}.rp_filter=2"),),
                     (SetSysctl(case.ns.id, f"net/ipv4/conf/{dev}/rp_filter", "2"),))
    off = Proposal("switch reverse path filtering off on it",
                   (inside(case, f"sysctl -w net.ipv4.conf.{dev}.rp_filter=0 net.ipv4.conf.all.rp_filter=0"),),
                   tuple(SetSysctl(case.ns.id, f"net/ipv4/conf/{name}/rp_filter", "0") for name in (dev, "all")))
    loose_helps = "no route leads back" not in case.drop.text
    summary = f"Reverse path filtering on {dev} in {place(case)} drops it: {case.drop.text.split(': ', 1)[-1]}"
    return Finding(summary, tuple(evidence), (loose,) if loose_helps else (off,))


def martian(case: Case) -> Finding:
    """A source or destination that may not appear here; two of them have a switch."""
    dev = case.drop.device
    evidence = (case.drop.text, f"The kernel can log it: {inside(case, f'sysctl net.ipv4.conf.{dev}.log_martians')}")
    if "accept_local" in case.drop.text:
        path, value, why = f"net/ipv4/conf/{dev}/accept_local", "1", "accept this host's own addresses as sources there"
    elif "route_localnet" in case.drop.text:
        path, value, why = f"net/ipv4/conf/{dev}/route_localnet", "1", "let 127.0.0.0/8 be routed there"
    else:
        return Finding("", evidence, ())
    command = f"sysctl -w {path.replace('/', '.')}={value}"
    return Finding("", evidence, (Proposal(why, (inside(case, command),), (SetSysctl(case.ns.id, path, value),)),))


def no_route(case: Case) -> Finding:
    dst = format_address(case.packet.dst)
    answer = "The answer is lost: " if case.is_reply else ""
    return Finding(f"{answer}{place(case)} has no route to {dst}.",
                   (case.drop.text, f"{inside(case, f'{_ip(case)} route get {dst}')}", f"{inside(case, f'{_ip(case)} rule')}"),
                   (Proposal(f"add the missing route to {dst}", (inside(case, f"{_ip(case)} route add {dst} via GATEWAY"),), ()),))


def refusing_route(case: Case) -> Finding:
    dst = format_address(case.packet.dst)
    return Finding("", (case.drop.text, inside(case, f"{_ip(case)} route show table all match {dst}")),
                   (Proposal("delete the blackhole, unreachable or prohibit route (or the policy rule) if it is not meant", (), ()),))
