"""Kinds of rules that real packets cannot show both ways with pktdiag being sure of both, and why, in the kernel's terms."""

from __future__ import annotations

_WHY = (
    ("no IP in such a frame: its length stands where a type would, and pktdiag is asked about IP packets and the ARP they need", "802_3, stp"),
    ("needs a security association, and what one transforms pktdiag does not follow (walk/ipsec.py); this 6.18 has no CONFIG_INET_ESP",
     "xfrm in spi, xfrm out reqid"),
    ("security_secctx_to_secid() knows no context here (xt_SECMARK.c: checkentry_lsm; nft_meta.c: nft_secmark_compute_secid): no LSM of "
     "this kernel's CONFIG_LSM has any", "SECMARK, secmark object"),
    ("tokens left are not shown (nft_limit_dump, struct xt_rateinfo, dl_seq_show of a bucket that may be refilled meanwhile)",
     "limit, limit over, limit bytes, limit burst, limit named, objref map limit, lookup element limit, dynset limit, dynset limit over, "
     "netdev limit, limit set, limit drop, limit accept, limit named drop, xt limit, xt limit accept, xt limit drop, hashlimit, hashlimit above, "
     "hashlimit drop, ebt limit"),
    ("drawn for each packet (get_random_u32_below)", "meta random, numgen random, statistic random, random drop, statistic drop"),
    ("a counter of the rule's own, which no dump shows (nft_numgen.c: nft_ng_inc_dump, xt_statistic.c: nth.count)",
     "numgen inc, numgen drop, numgen jump, numgen mark, dnat numgen, statistic nth, nth drop, meta set from numgen"),
    ("hashed with a secret of this boot (skb_get_hash, jhash without a seed, HMARK's with rnd 0)",
     "symhash, symhash drop, jhash seedless, HMARK secret"),
    ("counted in the kernel and not shown (xt_quota.c: priv->quota; xt_rateest.c; connlimit's own tree; other packets' doing)",
     "quota drop, rateest, xt connlimit, xt connlimit drop, connlimit mask, connlimit drop, connlimit set, set counter drop, recent drop, "
     "recent set and drop, connbytes drop"),
    ("the time until a connection expires goes on between question and packet (nf_ct_expires)",
     "conntrack expire, ct expiration, ct expiration range, ctexpire drop, expiration drop"),
    ("which CPU takes the packet nobody can say", "cpu, meta cpu, cpu drop, xt cpu drop"),
    ("numbers that TCP draws, checksums, identifiers: no question tells them",
     "tcp sequence, sequence drop, window drop, checksum drop, ip checksum, tcp checksum, udp checksum, udplite checksum, icmp checksum, "
     "icmpv6 checksum, ct id"),
    ("fingerprints are added and removed, never listed (nfnetlink_osf.c: nfnl_osf_callbacks)",
     "osf, osf name, osf version, osf drop, xt osf drop"),
    ("the helper of the connection that expected this one (nft_ct.c: nft_ct_get_eval, ct->master), and the judge speaks no FTP", "ct helper"),
    ("whether IPVS has the packet is not modelled (skb->ipvs_property)", "ipvs"),
    ("a sender that is only assumed has no group or cgroup that sock_diag could tell", "meta skgid, cgroup drop"),
    ("a program of its own decides (NFQUEUE, a BPF program)", "bpf drop, queue, queue range, queue bypass, NFQUEUE, NFQUEUE balance, NFQUEUE bypass"),
)
UNREACHED = {tag: why for why, tags in _WHY for tag in tags.split(", ")}
