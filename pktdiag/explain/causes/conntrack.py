"""Connection tracking itself is the cause: its table is full, or it remembers something that is no longer true."""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, place
from pktdiag.explain.causes.words import at, rule_name, sentence
from pktdiag.explain.whatif.changes import SetSysctl

_WRITES = ("-j HL ", "-j DSCP ", "-j TOS ", "ip6 dscp set", "ip6 hoplimit set", "ip6 ecn set", "ip6 flowlabel set")


def table_full(case: Case) -> Finding:
    """nf_conntrack: table full, dropping packet."""
    count = case.ns.conntrack_count()
    fill = f"{count[0]} of {count[1]} entries" if count else "full"
    larger = 2 * count[1] if count else 262144
    return Finding(f"The connection tracking table of {place(case)} is full ({fill}): new connections are dropped, old ones live.",
                   (f"Drop and early_drop grow: {inside(case, 'cat /proc/net/stat/nf_conntrack')}",
                    f"The kernel's log says \"nf_conntrack: table full, dropping packet\": {inside(case, 'dmesg')}"),
                   (Proposal("Raise the limit (and nf_conntrack_buckets), shorten the timeouts, or keep bulk traffic untracked",
                             (f"sysctl -w net.netfilter.nf_conntrack_max={larger}",), ()),))


def clash(case: Case) -> Finding:
    """Two packets of new connections got the same addresses and ports after translation; the later one is lost. UDP programs
    that send two requests from one socket at once (a resolver's A and AAAA) meet it most."""
    return Finding(sentence(f"Dropped {at(case)}: {case.drop.text}"),
                   (f"insert_failed grows: {inside(case, 'cat /proc/net/stat/nf_conntrack')}",),
                   (Proposal("Let NAT choose source ports at random (MASQUERADE or SNAT --random-fully), or keep this traffic local "
                             "(a resolver on the node)", (inside(case, "iptables -t nat -S POSTROUTING"),), ()),))


def summed_before(case: Case) -> Finding:
    """A rule wrote into the IPv6 header of a datagram whose checksum conntrack had added up already (see ``walk.summed``)."""
    key = "net/netfilter/nf_conntrack_checksum"
    writers = [rule for rule in case.leg.rules_hit if rule.netns == case.ns.id and any(word in f"{rule.text} " for word in _WRITES)]
    evidence = [f"Udp6InCsumErrors grows: {inside(case, 'nstat -az Udp6InCsumErrors')}"]
    if writers:
        evidence.insert(0, f"{rule_name(writers[-1])} writes there: {writers[-1].text}")
    return Finding(sentence(f"Dropped {at(case)}: {case.drop.text}"), tuple(evidence), (
        Proposal("Let conntrack leave checksums alone; whoever receives the packet looks at them anyway",
                 (inside(case, f"sysctl -w {key.replace('/', '.')}=0"),), (SetSysctl(case.ns.id, key, "0"),)),
        Proposal("Or write into the header in front of conntrack: an nft chain of priority raw", (), ())))
