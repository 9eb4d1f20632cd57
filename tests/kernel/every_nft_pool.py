"""Everything nft can write into a rule, as text.

``$x`` stands for a value drawn from the host (``every_nft.Values``). Families: i inet, 4 ip, 6 ip6, b bridge, n netdev, a arp.
Hooks: p prerouting, i input, f forward, o output, t postrouting, g ingress, e egress; ``*`` is all of them.
"""

from __future__ import annotations

FIELDS = """
ip version | i4bn | 4 5
ip hdrlength | i4bn | 5 6
ip dscp | i4bn | 0 4 10 46
ip ecn | i4bn | not-ect ect0 ce
ip length | i4bn | 28 36 40 60 100 500
ip id | i4bn | 1 3 5
ip ttl | i4bn | 1 63 64 255
ip protocol | i4bn | tcp udp icmp
ip checksum | i4bn | 1 30000
ip saddr | i4bn | $a $a 192.0.2.1
ip daddr | i4bn | $a $a 192.0.2.1
ip6 version | i6bn | 6 5
ip6 dscp | i6bn | 0 4 46
ip6 ecn | i6bn | not-ect ce
ip6 flowlabel | i6bn | 0 5
ip6 length | i6bn | 16 20 40 100
ip6 nexthdr | i6bn | tcp udp icmpv6
ip6 hoplimit | i6bn | 1 63 64 255
ip6 saddr | i6bn | $b $b ::1
ip6 daddr | i6bn | $b $b ::1
tcp sport | i46bn | $p 20000 20005
tcp dport | i46bn | $p $p 20000
tcp sequence | i46bn | 5 1000000000
tcp ackseq | i46bn | 0 5
tcp doff | i46bn | 5 10
tcp reserved | i46bn | 0 1
tcp window | i46bn | 1024 64240
tcp checksum | i46bn | 1 30000
tcp urgptr | i46bn | 0 1
udp sport | i46bn | $p 20000 20005
udp dport | i46bn | $p $p 20000
udp length | i46bn | 16 24 80
udp checksum | i46bn | 1 30000
udplite sport | i46bn | $p 20000
udplite dport | i46bn | $p 20000
udplite checksum | i46bn | 1 30000
sctp sport | i46bn | $p 20000
sctp dport | i46bn | $p 20000
sctp vtag | i46bn | 0 5
dccp sport | i46bn | $p 20000
dccp dport | i46bn | $p 20000
dccp type | i46bn | request response
ah spi | i46bn | 5 1246192640
ah hdrlength | i46bn | 5 100
ah sequence | i46bn | 5 100
ah reserved | i46bn | 0 5
esp spi | i46bn | 5 1246192640
esp sequence | i46bn | 5 100
comp cpi | i46bn | 5 100
comp flags | i46bn | 0 5
th sport | i46bn | $p 20000 20005
th dport | i46bn | $p $p 20000
icmp type | i4bn | echo-request echo-reply destination-unreachable
icmp code | i4bn | 0 1 3
icmp checksum | i4bn | 1 30000
icmp id | i4bn | 77 20003
icmp sequence | i4bn | 0 1
icmp mtu | i4bn | 0 1400
icmp gateway | i4bn | 5 5046273
icmpv6 type | i6bn | echo-request echo-reply nd-neighbor-solicit
icmpv6 code | i6bn | 0 1
icmpv6 checksum | i6bn | 1 30000
icmpv6 id | i6bn | 77 20003
icmpv6 sequence | i6bn | 0 1
icmpv6 mtu | i6bn | 1280 5046273
icmpv6 max-delay | i6bn | 5 77
icmpv6 param-problem | i6bn | 5 5046273
igmp type | i4bn | membership-query leave-group
igmp mrt | i4bn | 0 5
igmp group | i4bn | 5 1000
ether saddr | ibn | $mac $mac
ether daddr | ibn | $mac $mac ff:ff:ff:ff:ff:ff
ether type | ibn | ip ip6 arp
vlan id | bn | 5 6
vlan pcp | bn | 1 2
vlan dei | bn | 0 1
vlan type | bn | ip ip6
arp htype | abn | 1 2
arp ptype | abn | ip ip6
arp hlen | abn | 6 8
arp plen | abn | 4 6
arp operation | abn | request reply
arp saddr ip | abn | $a 192.0.2.1
arp daddr ip | abn | $a 192.0.2.1
arp saddr ether | abn | $mac 02:00:00:00:dd:dd
arp daddr ether | abn | $mac 00:00:00:00:00:00
@ll,0,48 | bn | 0x020000001000 0x020000001100
@nh,0,8 | i46bn | 0x45 0x60
@nh,8,8 | i46bn | 0 16
@nh,72,8 | i4bn | 6 17
@th,0,16 | i46bn | 20000 20003
@th,16,16 | i46bn | 53 80
@th,13,3 | i46bn | 0 3
@ih,0,24 | i46bn | 0x4a4764 5
meta length | i46bn | 28 40 60 100 500
meta nfproto | i | ipv4 ipv6
meta protocol | i46bn | ip ip6
meta l4proto | i46bn | tcp udp icmp icmpv6
meta priority | i46b | 0 0x10002
meta mark | i46bna | 0 1 2 3
meta iifgroup | i46ban | 0 5
meta oifgroup | i46ban | 0 5
meta iiftype | i46b | ether loopback
meta oiftype | i46b | ether loopback
meta iif | i46bna | $d lo
meta oif | i46bna | $d lo
meta iifname | i46bna | $d lo
meta oifname | i46bna | $d lo
meta iifkind | i46ba | "veth" "bridge"
meta oifkind | i46ba | "veth" "bridge"
meta pkttype | i46bn | host other broadcast
meta skuid | i46 | 0 5
meta skgid | i46 | 0 5
meta cgroup | i46 | 0 5
meta cpu | i46b | 0 1
meta random | i46b | 5 2000000000
meta sdif | i46 | $d 0
meta sdifname | i46 | $d lo
meta day | i46 | Monday Saturday
meta hour | i46 | "00:00" "12:00" "23:59"
meta time | i46 | "2020-01-01" "2036-01-01"
rtclassid | i46 | 0 5
meta ibrname | b | $br nobr
meta obrname | b | $br nobr
meta ibrpvid | b | 0 1
meta ibrvproto | b | 0x8100 0x88a8
ct mark | i46 | 0 1 5
ct zone | i46 | 0 5
ct direction | i46 | original reply
ct l3proto | i46 | ipv4 ipv6
ct protocol | i46 | tcp udp icmp
ct label | i46 | 3 5
ct helper | i46 | "ftp" "sip"
ct expiration | i46 | 1s 1h
ct bytes | i46 | 0 100
ct original bytes | i46 | 1 1000
ct packets | i46 | 0 2
ct reply packets | i46 | 0 2
ct avgpkt | i46 | 20 100
ct original ip saddr | i4 | $a 192.0.2.1
ct original ip daddr | i4 | $a 192.0.2.1
ct reply ip saddr | i4 | $a 192.0.2.1
ct reply ip daddr | i4 | $a 192.0.2.1
ct original ip6 saddr | i6 | $b ::1
ct reply ip6 daddr | i6 | $b ::1
meta l4proto { tcp, udp } ct original proto-src | i46 | $p 20000 20004
meta l4proto { tcp, udp } ct original proto-dst | i46 | $p $p
meta l4proto { tcp, udp } ct reply proto-src | i46 | $p $p
meta l4proto { tcp, udp } ct reply proto-dst | i46 | $p 20003
ct original zone | i46 | 0 5
ct id | i46 | 5 1000000000
rt nexthop | 4 | $a 192.0.2.1
rt ip nexthop | i | $a 192.0.2.1
rt ip6 nexthop | i | $b ::1
rt mtu | i46 | 1280 1460 1448
rt classid | i46 | 0 5
socket mark | i46 | 0 1
socket wildcard | i46 | 0 1
socket transparent | i46 | 0 1
"""
"""name | families | values: matched with every operator that suits them."""

ORDERED = ("length", "ttl", "hoplimit", "sport", "dport", "id", "mark", "bytes", "packets", "avgpkt", "priority", "sequence", "window", "mtu",
           "checksum", "group", "skuid", "skgid", "expiration", "random", "proto-src", "proto-dst", "time", "saddr", "daddr", "@th",
           "urgptr", "ackseq", "spi", "doff", "hdrlength", "cpu", "zone")
"""Fields that are compared by < and in ranges too."""

BITS = ("ip saddr", "ip daddr", "meta mark", "ct mark", "tcp sport", "ip ttl", "ip length", "udp dport")

HOOKED = {"meta iif": "pifg", "meta iifname": "pifg", "meta iifkind": "pif", "meta iifgroup": "pifg", "meta iiftype": "pif",
          "meta sdif": "if", "meta sdifname": "if", "meta oif": "fote", "meta oifname": "fote", "meta oifkind": "fot",
          "meta oifgroup": "fote", "meta oiftype": "fot", "meta skuid": "ot", "meta skgid": "ot", "rt mtu": "fot", "rt nexthop": "fot",
          "rt ip nexthop": "fot", "rt ip6 nexthop": "fot", "rt classid": "fot", "socket mark": "pi", "socket wildcard": "pi",
          "socket transparent": "pi", "ether saddr": "pifge", "ether daddr": "pifge", "ether type": "pifge",
          "meta ibrname": "pif", "meta obrname": "fot", "meta ibrpvid": "pif", "meta ibrvproto": "pif"}
"""Fields that make sense (or that nft allows) at some hooks only."""

MATCHES = """
ip frag-off | i4bn | * | ip frag-off & 0x$frag != 0
ip frag-off offset | i4bn | * | ip frag-off & 0x1fff == 0
ip prefix | i4bn | * | ip $sd $neg$n4
ip6 prefix | i6bn | * | ip6 $sd $neg$n6
ip wildcard | i4bn | * | ip $sd & 255.0.0.255 == 10.0.0.$low
ip not less | i4bn | * | ip $sd & 0.0.0.255 > 1
tcp flags | i46bn | * | tcp flags $neg syn
tcp flags list | i46bn | * | tcp flags $flags
tcp flags masked | i46bn | * | tcp flags & (fin|syn|rst|ack) $rel $flag
tcp flags set | i46bn | * | tcp flags $neg{ syn, ack, rst|ack }
tcp option maxseg | i46 | * | tcp option maxseg $exists
tcp option maxseg size | i46 | * | tcp option maxseg size $mssrel
tcp option window | i46 | * | tcp option window count $neg7
tcp option sack-perm | i46 | * | tcp option sack-perm $exists
tcp option sack | i46 | * | tcp option sack $exists
tcp option sack left | i46 | * | tcp option sack0 left > 5
tcp option timestamp | i46 | * | tcp option timestamp $exists
tcp option timestamp tsval | i46 | * | tcp option timestamp tsval $neg1
tcp option timestamp tsecr | i46 | * | tcp option timestamp tsecr 0
tcp option nop | i46 | * | tcp option nop $exists
tcp option eol | i46 | * | tcp option eol $exists
tcp option number | i46 | * | tcp option 254 $exists
tcp option fastopen | i46 | * | tcp option fastopen $exists
tcp option mptcp | i46 | * | tcp option mptcp $exists
ip option rr | i4 | * | ip option rr $exists
ip option lsrr | i4 | * | ip option lsrr $exists
ip option ssrr | i4 | * | ip option ssrr $exists
ip option ra | i4 | * | ip option ra $exists
ip option ra value | i4 | * | ip option ra value 0
sctp chunk | i46 | * | sctp chunk data $exists
sctp chunk init | i46 | * | sctp chunk init flags 1
exthdr hbh | i6 | * | exthdr hbh $exists
exthdr rt | i6 | * | exthdr rt $exists
exthdr frag | i6 | * | exthdr frag $exists
exthdr dst | i6 | * | exthdr dst $exists
exthdr mh | i6 | * | exthdr mh $exists
frag more | i6 | * | frag more-fragments 1
frag id | i6 | * | frag id 5
hbh nexthdr | i6 | * | hbh nexthdr udp
rt type | i6 | * | rt type 0
rt0 segleft | i6 | * | rt seg-left 0
dst nexthdr | i6 | * | dst nexthdr udp
mh type | i6 | * | mh type binding-update
meta secpath | i46 | pif | meta ipsec $exists
rt ipsec | i46 | fot | rt ipsec $exists
xfrm in spi | i46 | pif | ipsec in spi 5
xfrm out reqid | i46 | fot | ipsec out reqid 5
ct state | i46 | * | ct state $neg$state
ct state set | i46 | * | ct state $neg{ new, established }
ct status | i46 | * | ct status $status
ct status not | i46 | * | ct status != $status
ct expiration range | i46 | * | ct expiration $neg 1s-1h
fib daddr type | i46 | * | fib daddr type $neg$type
fib saddr type | i46 | * | fib saddr type $neg$type
fib daddr iif type | i46 | pif | fib daddr . iif type $neg$type
fib saddr oif type | i46 | fot | fib saddr . oif type $type
fib saddr iif oif | i46 | pif | fib saddr . iif oif $exists
fib saddr mark iif oif | i46 | pif | fib saddr . mark . iif oif $exists
fib saddr oif | i46 | pif | fib saddr oif $neg$d
fib saddr oifname | i46 | pif | fib saddr oifname $neg$d
fib daddr oif | i46 | pif | fib daddr oif $neg$d
fib daddr oifname | i46 | pif | fib daddr oifname $d
fib daddr mark type | i46 | * | fib daddr . mark type $neg$type
fib daddr oif out | i46 | fot | fib daddr . oif type $type
fib vmap | i46 | pif | fib daddr . mark . iif type vmap { blackhole : drop, prohibit : drop, unreachable : drop }
netdev fib | n | g | fib daddr . iif type $neg$type
socket exists | i46 | pi | socket wildcard { 0, 1 }
socket cgroupv2 | i46 | io | socket cgroupv2 level 1 "init.scope"
jhash | i4 | * | jhash ip saddr . ip daddr mod 4 seed 0x1234 $h4
jhash port | i46 | * | jhash th sport mod 2 seed 0xbeef $h2
jhash offset | i4 | * | jhash ip saddr mod 8 seed 7 offset 100 $neg 100-103
jhash6 | i6 | * | jhash ip6 saddr mod 4 seed 0xdeadbeef $h4
symhash | i46 | * | symhash mod 2 $h2
symhash one | i46 | * | symhash mod 1 $h2
numgen inc | i46 | * | numgen inc mod 2 $h2
numgen random | i46 | * | numgen random mod 2 $h2
numgen one | i46 | * | numgen inc mod 1 offset 5 $h5
limit | i46b | * | limit rate 1/minute
limit over | i46b | * | limit rate over 1/minute burst 2 packets
limit bytes | i46b | * | limit rate 100 bytes/second burst 200 bytes
limit burst | i46b | * | limit rate 10/hour burst 2 packets
quota | i46b | * | quota $over$quota bytes
connlimit | i46 | pifo | ct count $over$low
connlimit named | 4 | pifo | add @conns { ip saddr ct count over $low }
osf name | i46 | pif | osf name "$osf"
osf version | i46 | pif | osf ttl loose version "pktdiag:1"
lookup ports | i46bn | * | th dport $neg@ports
lookup interval ports | i46bn | * | th dport $neg@portranges
lookup nets | i4bn | * | ip $sd $neg@nets
lookup nets6 | i6 | * | ip6 $sd $neg@nets6
lookup concat | i4 | * | ip $sd . th dport $neg@pairs
lookup concat ranges | i4 | * | ip $sd . th dport $neg@blocks
lookup concat three | i4 | * | ip saddr . ip daddr . meta l4proto $neg@triples
lookup concat six | i6 | * | ip6 $sd . th dport $neg@blocks6
lookup concat anonymous | i4 | * | ip saddr . th dport { 10.0.0.0/8 . $p, 192.0.2.0/24 . 1-1000 }
lookup names | i46ba | pif | iifname $neg@devs
lookup marks | i46b | * | meta mark $neg@marks
lookup timeout | i4 | * | ip $sd $neg@timed
lookup counted | i4 | * | ip $sd $neg@counted
lookup element limit | i4 | * | ip $sd @limited
lookup element quota | i4 | * | ip $sd @quotaed
lookup catchall | i4 | * | ip $sd $neg@catchall
lookup macs | b | * | ether saddr $neg@macs
lookup dscp | i4 | * | ip dscp . ip protocol { 0x0 . udp, 0x4 . tcp }
lookup ct | i46 | * | ct state . ct mark $neg{ new . 0, established . 1 }
lookup types | i46 | pif | meta iif . meta mark $neg{ $d . 0, lo . 1 }
lookup vmap | i46b | * | meta l4proto vmap { icmp : goto u1, icmpv6 : goto u1 }
lookup empty | i4 | * | ip $sd $neg@empty
counter named | i46b | * | $one counter name "hits"
counter two | i46b | * | $one counter name "more" $one
quota named | i46b | * | quota name "left"
limit named | i46b | * | limit name "slow"
objref map counter | i46 | * | counter name th dport map @objects
objref map quota | i4 | * | quota name ip $sd map { $a : "left", 192.0.2.1 : "left" }
objref map limit | i4 | * | limit name ip $sd map { $a : "slow" }
bitwise mark and | i46b | * | meta mark & 0x1 == $bit
bitwise mark or | i46b | * | meta mark | 0x4 == 0x$four
bitwise mark xor | i46b | * | meta mark ^ 0x3 == $low
bitwise ct mark | i46 | * | ct mark & 0xff != $low
last | i46b | * | $one last
"""
"""tag | families | hooks | text; ``counter`` is put behind it. None of them changes where the packet goes."""

STATEMENTS = """
immediate mark | i46b | * | $m counter meta mark set $k ;; meta mark $k counter
meta set or | i46b | * | $m counter meta mark set meta mark | 0x4 ;; meta mark & 0x4 == 0x4 counter
meta set and | i46b | * | $m counter meta mark set meta mark & 0x2 ;; meta mark 0 counter
meta set xor | i46b | * | $m counter meta mark set meta mark ^ 0x3 ;; meta mark 3 counter
meta set shift left | i46b | * | $m meta mark set 0x3 meta mark set meta mark << 4 counter ;; meta mark 0x30 counter
meta set shift right | i46b | * | $m meta mark set 0x30 meta mark set meta mark >> 4 counter ;; meta mark 3 counter
meta set from ct | i46 | * | $m counter meta mark set ct mark ;; meta mark $low counter
meta set from dscp | i4 | * | $m counter meta mark set ip dscp map { 0 : 1, 46 : 2 } ;; meta mark 1 counter
meta set from map | i46 | * | $m counter meta mark set th dport map { 53 : 1, 80 : 2, 443 : 3 } ;; meta mark 2 counter
meta set from interval map | i46 | * | $m counter meta mark set th dport map { 1-79 : 1, 80-5000 : 2 } ;; meta mark 2 counter
meta set from named map | i4 | * | $m counter meta mark set ip $sd map @marksof ;; meta mark 7 counter
meta set from catchall map | i4 | * | $m counter meta mark set ip $sd map { $a : 1, * : 2 } ;; meta mark 2 counter
meta set from concat map | i4 | * | $m counter meta mark set ip saddr . th dport map { $a . $p : 6, $a2 . $p2 : 7 } ;; meta mark 6 counter
meta set from jhash | i4 | * | $m counter meta mark set jhash ip saddr mod 4 seed 0x1234 ;; meta mark $h4 counter
meta set from numgen | i46 | * | $m counter meta mark set numgen inc mod 4 offset 16 ;; meta mark 16 counter
meta set priority | i46b | * | $m counter meta priority set 1:2 ;; meta priority 1:2 counter
meta set pkttype | i4b | p | $m counter meta pkttype set host ;; meta pkttype host counter
meta set nftrace | i46 | * | $m counter meta nftrace set 1
ct set mark | i46 | * | $m counter ct mark set $k ;; ct mark $k counter
ct set mark from mark | i46 | * | $m counter ct mark set meta mark ;; ct mark $low counter
ct set mark or | i46 | * | $m counter ct mark set ct mark | 0x10 ;; ct mark & 0x10 == 0x10 counter
ct set label | i46 | * | $m counter ct label set 3 ;; ct label 3 counter
ct set secmark | i46 | pifo | $m counter ct secmark set meta secmark ;; counter meta secmark set ct secmark
secmark object | i46 | ifo | $m counter meta secmark set "sec"
ct set event | i46 | * | $m counter ct event set new
ct set zone | i46 | z | $m counter ct zone set 5
ct set zone original | i46 | z | $m counter ct original zone set 5
ct set zone map | i46 | z | ct zone set meta mark map { 1 : 6, 2 : 7 } counter
ct helper object | i46 | * | tcp dport $p ct helper set "ftph" counter ;; meta l4proto tcp ct helper set "ftph" counter
ct helper set | i46 | * | meta l4proto tcp ct helper set "ftph" counter ;; ct helper "ftp" counter
ct timeout object | i4 | * | meta l4proto tcp ct timeout set "tmo" counter
ct expectation object | i4 | * | meta l4proto udp ct expectation set "exp" counter
payload set ttl | i4 | * | ip ttl > 5 $m counter ip ttl set 30 ;; ip ttl 30 counter
payload set dscp | i4 | * | $m counter ip dscp set 46 ;; ip dscp 46 counter
payload set ecn | i4 | * | $m counter ip ecn set ect0 ;; ip ecn ect0 counter
payload set daddr | i4 | pi | $m counter ip daddr set $a ;; ip daddr $a counter
payload set saddr | i4 | pt | $m counter ip saddr set $a ;; ip saddr $a counter
payload set dport | i46 | pio | udp dport $p counter udp dport set $p2 ;; udp dport $p2 counter
payload set sport | i46 | pio | udp sport 20000-20005 counter udp sport set 20077 ;; udp sport 20077 counter
payload set hoplimit | i6 | * | ip6 hoplimit > 5 $m counter ip6 hoplimit set 30 ;; ip6 hoplimit 30 counter
payload set dscp6 | i6 | * | $m counter ip6 dscp set 46 ;; ip6 dscp 46 counter
payload set flowlabel | i6 | * | $m counter ip6 flowlabel set 5 ;; ip6 flowlabel 5 counter
payload set ether | b | pf | $m counter ether saddr set 02:00:00:00:00:77 ;; ether saddr 02:00:00:00:00:77 counter
exthdr set maxseg | i46 | * | tcp flags syn counter tcp option maxseg size set 1400 ;; tcp option maxseg size 1400 counter
exthdr set maxseg rt | i46 | ft | tcp flags syn counter tcp option maxseg size set rt mtu ;; tcp option maxseg size < 1460 counter
exthdr reset | i46 | * | tcp flags syn counter reset tcp option sack-perm ;; tcp option sack-perm missing counter
log | i46b | * | $m counter log prefix "every "
log level | i46b | * | $m log level info flags all counter
log group | i46b | * | $m log prefix "grp" group 5 snaplen 64 queue-threshold 2 counter
quota verdict | i46 | * | quota over 1 mbytes counter drop ;; quota over 100 bytes counter ;; quota 100 bytes counter
counter accept | i46b | * | $m counter counter name "hits" accept
continue | i46b | * | $m counter continue ;; counter
return | i46b | * | $m counter return ;; counter
jump | i46b | * | $m counter jump u0 ;; counter
goto | i46b | * | $m counter goto u1 ;; counter
accept | i46b | * | $m counter accept
drop | i46bn | * | $rare counter drop
vmap | i46b | * | meta l4proto vmap { tcp : jump u2, udp : goto u1 } ;; counter
vmap named | i46 | * | counter th dport vmap @verdicts ;; counter
vmap interval | i46 | * | th dport vmap { 1-60 : goto u1, 61-90 : jump u2, 30000-40000 : drop } ;; counter
vmap concat | i4 | * | ip $sd . th dport vmap { $a . $p : drop, $a2 . $p2 : jump u2, $a3 . $p : goto u1, $a4 . 20000 : goto u1 } ;; counter
vmap catchall | i4 | * | ip ttl != 64 ip $sd vmap { $a : jump u2, * : return } ;; counter ;; ip $sd vmap { $a : jump u0, * : return } ;; counter
vmap ct state | i46 | * | ct state vmap { invalid : return, established : accept, related : goto u1 } ;; counter
vmap names | i46 | pif | iifname vmap { "$d" : jump u2, "lo" : accept } ;; counter
vmap fib | i46 | pi | fib daddr type vmap { local : jump u2, broadcast : return } ;; counter
vmap mark | i46 | * | meta mark vmap { 1 : accept, 2-5 : return } ;; counter
dynset add | i4 | * | $m counter add @dyn { ip saddr } ;; ip saddr @dyn counter ;; ip daddr @dyn counter
dynset update | i4 | * | $m counter update @dynt { ip saddr timeout 1m } ;; ip saddr @dynt counter
dynset delete | i4 | * | add @dyn { ip daddr } counter ;; $m counter delete @dyn { ip daddr } ;; ip daddr @dyn counter
dynset concat | i4 | * | $m counter add @dynpairs { ip saddr . th dport } ;; ip saddr . th dport @dynpairs counter
dynset six | i6 | * | $m counter add @dyn6 { ip6 saddr } ;; ip6 saddr @dyn6 counter
dynset map | i4 | * | $m counter add @dynmap { ip saddr : 5 } ;; meta mark set ip saddr map @dynmap ;; meta mark 5 counter
dynset map update | i4 | * | $m counter update @dynmap2 { ip saddr : meta mark } ;; meta mark set ip saddr map @dynmap2 counter
dynset port | i46 | * | $m counter add @seen { th dport } ;; th dport @seen counter
dynset counter | i4 | * | $m add @dync { ip saddr counter } counter
dynset limit | i4 | * | $m add @dynl { ip saddr limit rate 100/second } counter
dynset limit over | i4 | * | $m add @dynl2 { ip saddr limit rate over 1/hour burst 1 packets } counter
dynset quota | i4 | * | $m update @dynq { ip saddr quota over 60 bytes } counter
notrack | i46 | r | $m counter notrack
reject | i46 | ifo | $rare counter reject
reject reset | i46 | ifo | $raretcp counter reject with tcp reset
reject icmp | i4 | ifo | $rare4 counter reject with icmp $icmpcode
reject icmpv6 | i6 | ifo | $rare6 counter reject with icmpv6 $icmp6code
reject icmpx | i | ifo | $rare counter reject with icmpx $icmpxcode
reject prerouting | i46 | p | $rare counter reject
reject bridge | b | pi | $rare4 counter reject with icmp port-unreachable
reject bridge reset | b | pi | $raretcp counter reject with tcp reset
tproxy port | 46 | m | $tp counter tproxy to :$p2
tproxy | 4 | m | $tp counter tproxy to $a:$p2 meta mark set 1 accept
tproxy inet | i | m | $tp counter tproxy ip to $a:$p2 accept
netdev fwd | n | g | $rare counter fwd to "$d"
netdev accept | n | ge | $m counter accept ;; counter
netdev mark | n | ge | $m counter meta mark set $k ;; meta mark $k counter
netdev limit | n | g | limit rate 1/hour burst 1 packets counter
netdev ttl | n | ge | $m ip ttl > 5 ip ttl set 40 counter
netdev nat | n | g | udp dport $p udp dport set $p2 counter
flow add | i46 | f | ct state established meta l4proto { tcp, udp } counter flow add @ft
synproxy | i46 | if | tcp dport $p ct state invalid,untracked,new counter synproxy mss 1460 wscale 7 timestamp sack-perm
dnat | i46 | D | $m counter dnat $to $A
dnat port | i46 | D | $tu counter dnat $to $AP
dnat range | i46 | D | $m counter dnat $to $AR persistent
dnat map | 4 | D | counter dnat to ip daddr map { $a : $a2, $a3 : $a4 }
dnat named map | 4 | D | tcp dport 1-65535 counter dnat to tcp dport map @natmap
dnat concat map | 4 | D | tcp dport 1-65535 counter dnat to ip daddr . tcp dport map { $a . $p : $a2 . $p2, $a3 . 81 : $a4 . 8000 }
dnat prefix | 4 | D | counter dnat prefix to ip daddr map { 10.1.0.0/24 : 10.2.0.0/24 }
dnat jhash | 4 | D | $m counter dnat to jhash ip saddr mod 2 seed 0x1 map { 0 : $a, 1 : $a2 }
dnat vmap | i46 | D | th dport vmap { $p : accept, $p2 : return } ;; counter
redirect | i46 | D | $m counter redirect
redirect port | i46 | D | $tu counter redirect to :$p2
redirect map | i46 | D | meta l4proto tcp counter redirect to tcp dport map { 80 : 8000, 443 : 5000 }
snat | i46 | S | $m counter snat $to $A
snat port | i46 | S | $tu counter snat $to $SP
snat persistent | i46 | S | $m counter snat $to $A persistent
snat map | 4 | S | counter snat to ip saddr map { $a : 192.0.2.77, $a2 : $a3 }
snat prefix | 4 | S | counter snat prefix to ip saddr map { 10.1.0.0/24 : 192.0.2.0/24 }
masquerade | i46 | S | $m counter masquerade
masquerade ports | i46 | S | $tu counter masquerade to :30000-30000
masquerade persistent | i46 | S | $m counter masquerade persistent
input snat | i46 | I | $m counter snat $to $A
route mark | i46 | R | $m counter meta mark set $k
"""
"""tag | families | where | rules. Where, beside hooks: z raw priority (-300), r before conntrack, m mangle prerouting, D nat prerouting
and output, S nat postrouting, I nat input, R route output."""

UNKNOWABLE = """
random drop | i46 | * | meta random < 1000000000 counter drop
cpu drop | i46 | * | meta cpu 0 $rare counter drop
numgen drop | i46 | * | numgen random mod 4 1 counter drop
numgen jump | i46 | * | numgen inc mod 2 vmap { 0 : jump u2, 1 : continue } ;; counter
numgen mark | i46 | * | meta mark set numgen inc mod 3 ;; meta mark 1 counter accept
symhash drop | i46 | * | symhash mod 4 0 counter drop
jhash seedless | i4 | * | jhash ip saddr mod 4 0 counter drop
limit drop | i46 | * | limit rate over 1/hour burst 2 packets counter drop
limit accept | i46 | * | limit rate 1/hour counter accept ;; counter
limit named drop | i46 | * | limit name "slow" counter drop
connlimit drop | i46 | ifo | ct count over 1 counter drop
connlimit set | 4 | ifo | add @conns { ip saddr ct count over 1 } counter drop
limit set | i4 | * | update @dynl3 { ip saddr limit rate over 1/hour } counter drop
expiration drop | i46 | * | ct expiration 1s-29s counter drop
sequence drop | i46 | * | tcp sequence < 1000000000 counter drop
checksum drop | i4 | * | ip checksum < 30000 counter drop
window drop | i46 | * | tcp window 1024 counter drop
osf drop | i46 | pif | osf name "pktdiag" counter drop
cgroup drop | i46 | o | meta cgroup != 5 $rare counter drop
queue bypass | i46 | * | $rare counter queue num 5 bypass
queue | i46 | * | $rare counter queue num 5
queue range | i46 | * | $rare counter queue num 5-7 fanout,bypass
dnat random | i46 | D | $m counter dnat $to $AR random
dnat numgen | 4 | D | $m counter dnat to numgen inc mod 2 map { 0 : $a, 1 : $a2 }
masquerade random | i46 | S | $m counter masquerade fully-random
masquerade port range | i46 | S | $tu counter masquerade to :30000-40000
snat random | i46 | S | $tu counter snat $to $A random
snat range | i4 | S | $m counter snat $to 192.0.2.70-192.0.2.75
synproxy drop | i46 | if | tcp dport $p counter synproxy mss 1460
"""
"""Verdicts behind what nobody can know: only on hosts marked so."""

DECLARATIONS = """
@ports | set | i46bn | type inet_service; elements = { $p, $p2, 20001 }
@portranges | set | i46bn | type inet_service; flags interval; elements = { 50-60, 440-5000, 20002-20004 }
@nets | set | i4bn | type ipv4_addr; flags interval; elements = { $n4, 192.0.2.0-192.0.2.9 }
@nets6 | set | i6 | type ipv6_addr; flags interval; elements = { $n6 }
@pairs | set | i4 | type ipv4_addr . inet_service; elements = { $a . $p, $a2 . $p2 }
@blocks | set | i4 | type ipv4_addr . inet_service; flags interval; elements = { $n4 . 50-90, 192.0.2.1-192.0.2.5 . 80 }
@blocks6 | set | i6 | type ipv6_addr . inet_service; flags interval; elements = { $n6 . 50-5000 }
@triples | set | i4 | type ipv4_addr . ipv4_addr . inet_proto; elements = { $a . $a2 . tcp, $a2 . $a . udp, $a3 . $a4 . icmp }
@devs | set | i46ba | type ifname; flags interval; elements = { "$d", "zz*" }
@marks | set | i46b | type mark; flags interval; elements = { 1-2, 5 }
@timed | set | i4 | type ipv4_addr; flags timeout; elements = { $a timeout 1h, $a2 timeout 1d }
@counted | set | i4 | type ipv4_addr; counter; elements = { $a, $a2 }
@limited | set | i4 | type ipv4_addr; limit rate 100/second; elements = { $a }
@quotaed | set | i4 | type ipv4_addr; quota over 60 bytes; elements = { $a, $a2 }
@catchall | set | i4 | type ipv4_addr; flags interval; elements = { 192.0.2.0/24, * }
@macs | set | b | type ether_addr; elements = { $mac, $mac2 }
@empty | set | i4 | type ipv4_addr; flags interval;
@conns | set | 4 | type ipv4_addr; size 65535; flags dynamic;
@dyn | set | i4 | type ipv4_addr; size 65535; flags dynamic;
@dynt | set | i4 | type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1h;
@dynpairs | set | i4 | type ipv4_addr . inet_service; size 65535; flags dynamic;
@dyn6 | set | i6 | type ipv6_addr; size 65535; flags dynamic;
@seen | set | i46 | type inet_service; size 65535; flags dynamic; elements = { $p }
@dync | set | i4 | type ipv4_addr; size 65535; flags dynamic; counter;
@dynl | set | i4 | type ipv4_addr; size 65535; flags dynamic;
@dynl2 | set | i4 | type ipv4_addr; size 65535; flags dynamic;
@dynl3 | set | i4 | type ipv4_addr; size 65535; flags dynamic;
@dynq | set | i4 | type ipv4_addr; size 65535; flags dynamic;
@dynmap | map | i4 | type ipv4_addr : mark; size 65535; flags dynamic;
@dynmap2 | map | i4 | type ipv4_addr : mark; size 65535; flags dynamic;
@marksof | map | i4 | type ipv4_addr : mark; flags interval; elements = { $n4 : 7, 192.0.2.0/24 : 8 }
@verdicts | map | i46 | type inet_service : verdict; elements = { $p : jump u2, 9999 : drop, 20000 : goto u1 }
@natmap | map | 4 | type inet_service : ipv4_addr; elements = { 53 : $a, 80 : $a2, 443 : $a3 }
@objects | map | i46 | type inet_service : counter; elements = { 53 : "hits", 80 : "more", 443 : "hits", 5000 : "more" }
@ft | flowtable | i46 | hook ingress priority 0; devices = { $d };
"hits" | counter | i46b |
"more" | counter | i46b |
"left" | quota | i46b | over $quota bytes
"slow" | limit | i46b | rate 1/hour
"ftph" | ct helper | i46 | type "ftp" protocol tcp;
"sec" | secmark | i46 | "unconfined";
"tmo" | ct timeout | i4 | protocol tcp; l3proto ip; policy = { established : 100 };
"exp" | ct expectation | i4 | protocol udp; dport 5353; timeout 1m; size 5; l3proto ip;
"""
"""name as rules write it | kind | families | body. Added to a table when one of its rules names it."""

LATER = """
dup to | 4 | pot | $rare counter dup to $a device $d
dup6 | 6 | pot | $rare counter dup to $b device $d
netdev dup | n | g | $rare counter dup to "$d"
netdev fwd ip | n | g | $rare4 counter fwd ip to $a device "$d"
"""
"""Copies (dup) and frames sent to a neighbour (fwd ip to): said in words by the trace, not followed yet. On no host."""
