"""Every match and target of iptables and ip6tables (1.8.9), of ebtables and arptables, as text.

Families: 4 iptables, 6 ip6tables. Chains: P prerouting, I input, F forward, O output, T postrouting; ``*`` all. n: the nft back end alone,
since this kernel (or most) lacks it and iptables-legacy refuses a whole table without saying for which rule. ``$x`` as in
``every_nft.Values``.
"""

from __future__ import annotations

MATCHES = """
head protocol | 46 | * | $not-p $proto
head source | 4 | * | $not-s $n4
head destination | 4 | * | $not-d $a
head wildcard | 4 | * | -s 10.0.0.$low/255.0.0.255
head source6 | 6 | * | $not-s $n6
head destination6 | 6 | * | $not-d $b
head in | 46 | PIF | $not-i $d
head in prefix | 46 | PIF | $not-i $dp+
head out | 46 | FOT | $not-o $d
head fragment | 4 | * | $not-f
addrtype | 46 | * | -m addrtype $not--$sdtype $types
addrtype iface in | 46 | PIF | -m addrtype $not--dst-type LOCAL --limit-iface-in
addrtype iface out | 46 | FT | -m addrtype $not--src-type UNICAST --limit-iface-out
ah | 4 | * | -p ah -m ah $not--ahspi 1:2000000000
ah6 | 6 | * | -m ah $not--ahspi 5
bpf | 46 | * | -m bpf --bytecode "4,48 0 0 9,21 0 1 17,6 0 0 1,6 0 0 0"
cgroup | 46 | O | -m cgroup $not--cgroup 0
cgroup path | 46 | O | -m cgroup $not--path ""
cluster | 46 | PIF | -m cluster --cluster-total-nodes 2 $not--cluster-local-node 1 --cluster-hash-seed 0xdeadbeef
comment | 46 | * | -p $proto -m comment --comment "a remark"
connbytes packets | 46 | * | -m connbytes $not--connbytes 1:2 --connbytes-mode packets --connbytes-dir $cbdir
connbytes bytes | 46 | * | -m connbytes $not--connbytes 1:100 --connbytes-mode bytes --connbytes-dir $cbdir
connbytes avgpkt | 46 | * | -m connbytes $not--connbytes 30: --connbytes-mode avgpkt --connbytes-dir $cbdir
connlabel | 46 | * | -m connlabel $not--label 3
connlabel set | 46 | * | -m connlabel $not--label 5 --set
xt connlimit | 46 | * | -m connlimit --connlimit-$aboveupto $low
connlimit mask | 4 | * | -m connlimit --connlimit-$aboveupto 1 --connlimit-mask 24 --connlimit-daddr
connmark | 46 | * | -m connmark $not--mark $low/0x3
conntrack state | 46 | * | -m conntrack $not--ctstate $ctstate
conntrack proto | 46 | * | -m conntrack $not--ctproto $proto
conntrack origsrc | 4 | * | -m conntrack $not--ctorigsrc $n4
conntrack origdst | 4 | * | -m conntrack $not--ctorigdst $a
conntrack replsrc | 4 | * | -m conntrack $not--ctreplsrc $a
conntrack repldst | 4 | * | -m conntrack $not--ctrepldst $a
conntrack origdst6 | 6 | * | -m conntrack $not--ctorigdst $b
conntrack origdstport | 46 | * | -m conntrack --ctproto tcp $not--ctorigdstport $p
conntrack replsrcport | 46 | * | -m conntrack --ctproto udp $not--ctreplsrcport $p:5000
conntrack status | 46 | * | -m conntrack $not--ctstatus $ctstatus
conntrack expire | 46 | * | -m conntrack $not--ctexpire 1:1000
conntrack dir | 46 | * | -m conntrack --ctdir $ctdir
cpu | 46 | * | -m cpu $not--cpu 0
dccp | 46 | * | -p dccp -m dccp $not--dport $p
dccp types | 46 | * | -p dccp -m dccp $not--dccp-types $dtype
devgroup in | 46 | PIF | -m devgroup $not--src-group 0
devgroup out | 46 | FOT | -m devgroup $not--dst-group 0x5/0xf
dscp | 46 | * | -m dscp $not--dscp $dscpn
ecn ip | 46 | * | -m ecn $not--ecn-ip-ect $low
ecn tcp | 4 | * | -p tcp -m ecn $not--ecn-tcp-ece
ecn cwr | 4 | * | -p tcp -m ecn $not--ecn-tcp-cwr
esp | 46 | * | -p esp -m esp $not--espspi 1:2000000000
hashlimit | 46 | * | -m hashlimit --hashlimit-upto 1/min --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name $hl
hashlimit above | 46 | * | -m hashlimit --hashlimit-above 1/hour --hashlimit-burst 1 --hashlimit-mode dstip,dstport --hashlimit-name $hl
helper | 46 | * | -m helper $not--helper ftp
icmp | 4 | * | -p icmp -m icmp $not--icmp-type $icmptype
icmp6 | 6 | * | -p icmpv6 -m icmp6 $not--icmpv6-type $icmp6type
ipcomp | 46 | * | -p ipcomp -m ipcomp $not--ipcompspi 5:9
iprange | 4 | * | -m iprange $not--$sdrange 10.1.0.1-10.2.0.2
iprange6 | 6 | * | -m iprange $not--$sdrange 2001:db8:1::1-2001:db8:2::2
length | 46 | * | -m length $not--length $len
xt limit | 46 | * | -m limit --limit 1/min --limit-burst 2
mac | 46 | PIF | -m mac $not--mac-source $mac
mark | 46 | * | -m mark $not--mark $low/0x3
multiport dports | 46 | * | -p $tuproto -m multiport $not--dports $p,20000:20005
multiport sports | 46 | * | -p $tuproto -m multiport $not--sports 20000:20004,$p
multiport ports | 46 | * | -p $tuproto -m multiport $not--ports $p
osf | 4 | PIF | -p tcp -m osf $not--genre pktdiag --ttl 2
owner uid | 46 | OT | -m owner $not--uid-owner $owner
owner gid | 46 | OT | -m owner $not--gid-owner 0-5
owner exists | 46 | OT | -m owner $not--socket-exists
physdev in | 46 | PIF | -m physdev $not--physdev-in $d
physdev out | 46 | FT | -m physdev $not--physdev-out $d --physdev-is-bridged
physdev is in | 46 | PIF | -m physdev $not--physdev-is-in
physdev bridged | 46 | FT | -m physdev $not--physdev-is-bridged
pkttype | 46 | * | -m pkttype $not--pkt-type $pkt
policy in | 46 | PIF | -m policy --dir in --pol $pol
policy out | 46 | FOT | -m policy --dir out --pol $pol
xt quota | 46 | * | -m quota $not--quota 100
realm | 4 | IFOT | -m realm $not--realm 0
recent set | 46 | * | -m recent --name $rc $not--set
recent check | 46 | * | -m recent --name $rc $not--rcheck
recent update | 46 | * | -m recent --name $rc $not--update --seconds 60 --hitcount 2
recent remove | 46 | * | -m recent --name $rc --remove
rpfilter | 46 | p | -m rpfilter $rpf
sctp | 46 | * | -p sctp -m sctp $not--dport $p
sctp chunks | 46 | * | -p sctp -m sctp $not--chunk-types $chunks
set ip | 4 | * | -m set $not--match-set ips $srcdst
set ipport | 4 | * | -m set $not--match-set ipports $srcdst,$srcdst
set net | 4 | * | -m set $not--match-set nets $srcdst
set net nomatch | 4 | * | -m set --match-set nets $srcdst --return-nomatch
set port | 4 | * | -m set $not--match-set ports $srcdst
set bitmap | 4 | * | -m set $not--match-set bitmap $srcdst
set bitmap port | 4 | * | -m set $not--match-set bmport $srcdst
set bitmap mac | 4 | PIF | -m set $not--match-set bmipmac src,src
set mac | 46 | PIF | -m set $not--match-set macs src
set ipmark | 4 | * | -m set $not--match-set ipmarks $srcdst,$srcdst
set netport | 4 | * | -m set $not--match-set netports $srcdst,dst
set netnet | 4 | * | -m set $not--match-set netnets $srcdst,$srcdst
set netiface | 4 | PIF | -m set $not--match-set netifaces src,src
set ipportip | 4 | * | -m set $not--match-set ipportips src,dst,dst
set ipportnet | 4 | * | -m set $not--match-set ipportnets src,dst,dst
set netportnet | 4 | * | -m set $not--match-set netportnets src,dst,dst
set list | 4 | * | -m set $not--match-set all $srcdst
set counters | 4 | * | -m set --match-set counted $srcdst --packets-gt 1
set counters eq | 4 | * | -m set --match-set counted $srcdst ! --packets-eq 2 ! --update-counters
set timeout | 4 | * | -m set $not--match-set timed $srcdst
set ip6 | 6 | * | -m set $not--match-set ips6 $srcdst
set net6 | 6 | * | -m set $not--match-set nets6 $srcdst
set ipmac | 4 | PIF | -m set $not--match-set ipmacs src,src
socket | 46 | pI | -m socket $sockopt
state | 46 | * | -m state $not--state $state4
statistic nth | 46 | * | -m statistic --mode nth $not--every 2 --packet 0
statistic random | 46 | * | -m statistic --mode random $not--probability 0.5
string | 46 | * | -m string $not--string JGd --algo bm
string hex | 46 | * | -m string $not--hex-string "|4a4764|" --algo kmp --from 20 --to 60
string case | 46 | * | -m string $not--string jgD --algo bm --icase
tcp | 46 | * | -p tcp -m tcp $not--dport $p
xt tcp sport | 46 | * | -p tcp -m tcp $not--sport 20000:20004
xt tcp flags | 46 | * | -p tcp -m tcp $not--tcp-flags $tcpflags
tcp option | 46 | * | -p tcp -m tcp $not--tcp-option $tcpopt
tcpmss | 46 | * | -p tcp -m tcpmss $not--mss 1000:1460
time | 46 | * | -m time --timestart $h0 --timestop $h1
time days | 46 | * | -m time $not--weekdays Mon,Tue,Wed
time dates | 46 | * | -m time --datestart 2020-01-01 --datestop $year-01-01
tos | 46 | * | -m tos $not--tos $tos
ttl | 4 | * | -m ttl --ttl-$ttl
hl | 6 | * | -m hl --hl-$ttl
u32 | 46 | * | -m u32 $not--u32 "6&0xFF=17"
u32 deep | 4 | * | -m u32 $not--u32 "0>>22&0x3C@0>>16=20000:20004"
u32 two | 4 | * | -m u32 $not--u32 "4&0x1FFF=0&&8&0xFF0000=0x60000:0x110000"
udp | 46 | * | -p udp -m udp $not--dport $p
xt udp sport | 46 | * | -p udp -m udp $not--sport 20000:20004
udplite | 46 | * | -p udplite -m multiport --dports $p
nfacct | 46 | * | -m nfacct --nfacct-name $acct
ipvs | 46n | * | -m ipvs $not--ipvs
rateest | 46n | * | -m rateest --rateest RE1 --rateest-lt --rateest-bps2 8bit
dst | 6 | * | -m dst $not--dst-len 8
hbh | 6 | * | -m hbh $not--hbh-len 8
frag6 | 6 | * | -m frag --fragmore
eui64 | 6 | PIF | -m eui64
ipv6header | 6 | * | -m ipv6header $not--header $v6h --soft
ipv6header hard | 6 | * | -m ipv6header $not--header none
mh | 6 | * | -p mobility-header -m mh --mh-type 3
rt6 | 6 | * | -m rt $not--rt-type 0
srh | 6 | * | -m srh $not--srh-next-hdr 17
"""
"""tag | families | chains | match. Without a target: they only count."""

TARGETS = """
ACCEPT | 46 | filter mangle | * | $m -j ACCEPT
DROP | 46 | filter mangle raw | * | $rare -j DROP
RETURN | 46 | filter mangle | * | $m -j RETURN
AUDIT | 46 | filter | * | $m -j AUDIT --type accept
CHECKSUM | 46 | mangle | T | $m -j CHECKSUM --checksum-fill
CLASSIFY | 46 | mangle | FOT | $m -j CLASSIFY --set-class 1:5
CONNMARK set | 46 | mangle | * | $m -j CONNMARK --set-mark $k
CONNMARK xmark | 46 | mangle | * | $m -j CONNMARK --set-xmark 0x2/0x3
CONNMARK save | 46 | mangle | * | $m -j CONNMARK --save-mark
CONNMARK restore | 46 | mangle | * | $m -j CONNMARK --restore-mark
CONNMARK shift | 46 | mangle | * | $m -j CONNMARK --save-mark --left-shift-mark 4
CONNMARK and | 46 | mangle | * | $m -j CONNMARK --and-mark 0x1
CONNSECMARK | 46 | security | IFO | $m -j CONNSECMARK --save
CT notrack | 46 | raw | * | $m -j CT --notrack
CT zone | 46 | raw | * | $m -j CT --zone 5
CT zone orig | 46 | raw | * | $m -j CT --zone-orig 5
CT zone mark | 46 | raw | * | $m -j CT --zone mark
CT helper | 46 | raw | * | -p tcp --dport $p -j CT --helper ftp
CT events | 46 | raw | * | $m -j CT --ctevents new,destroy
DNAT | 4 | nat | PO | $m -j DNAT --to-destination $a
DNAT port | 4 | nat | PO | $tu -j DNAT --to-destination $a:$p
DNAT persistent | 4 | nat | PO | $m -j DNAT --to-destination $a --persistent
DNAT shift | 4 | nat | PO | -p tcp --dport 80:90 -j DNAT --to-destination $a:8000-8010/80
DNAT6 | 6 | nat | PO | $m -j DNAT --to-destination $b
DNAT6 port | 6 | nat | PO | $tu -j DNAT --to-destination [$b]:$p
DSCP | 46 | mangle | * | $m -j DSCP --set-dscp 10
ECN | 4 | mangle | * | -p tcp -j ECN --ecn-tcp-remove
HL set | 6 | mangle | * | $m -j HL --hl-set 30
HL inc | 6 | mangle | * | $m -j HL --hl-inc 5
HL dec | 6 | mangle | * | $rare -j HL --hl-dec 1
HMARK | 4 | mangle | * | $m -j HMARK --hmark-tuple src,dst --hmark-mod 4 --hmark-rnd 0xcafe
HMARK ports | 46 | mangle | * | $tu -j HMARK --hmark-tuple src,dst,sport,dport --hmark-mod 4 --hmark-offset 100 --hmark-rnd 0xfeed
HMARK ct | 46 | mangle | FIT | $m -j HMARK --hmark-tuple ct --hmark-mod 4 --hmark-rnd 1
IDLETIMER | 46 | filter | * | $m -j IDLETIMER --timeout 42 --label $idle
LOG | 46 | filter mangle | * | $m -j LOG --log-prefix "every: "
LOG all | 46 | filter | * | $m -j LOG --log-level debug --log-tcp-sequence --log-tcp-options --log-ip-options --log-uid
MARK set | 46 | mangle | * | $m -j MARK --set-mark $k
MARK xmark | 46 | mangle | * | $m -j MARK --set-xmark 0x2/0x3
MARK and | 46 | mangle | * | $m -j MARK --and-mark 0x1
MARK or | 46 | mangle | * | $m -j MARK --or-mark 0x2
MARK xor | 46 | mangle | * | $m -j MARK --xor-mark 0x3
MASQUERADE | 46 | nat | T | $m -j MASQUERADE
MASQUERADE ports | 46 | nat | T | $tu -j MASQUERADE --to-ports 30000
NETMAP dst | 4 | nat | PO | -d 10.1.0.0/24 -j NETMAP --to 10.2.0.0/24
NETMAP src | 4 | nat | T | -s 10.1.0.0/24 -j NETMAP --to 192.0.2.0/24
NETMAP6 | 6 | nat | PO | -d 2001:db8:1::/64 -j NETMAP --to 2001:db8:2::/64
NFLOG | 46 | filter mangle | * | $m -j NFLOG --nflog-group 5 --nflog-prefix "x"
NOTRACK | 46 | raw | * | $m -j NOTRACK
RATEEST | 46n | filter | * | $m -j RATEEST --rateest-name RE1 --rateest-interval 250ms --rateest-ewmalog 500ms
REDIRECT | 46 | nat | PO | $m -j REDIRECT
REDIRECT port | 46 | nat | PO | $tu -j REDIRECT --to-ports $p
REJECT | 46 | filter | * | $rare -j REJECT
REJECT with | 4 | filter | * | $rare -j REJECT --reject-with $rejectwith
REJECT with6 | 6 | filter | * | $rare -j REJECT --reject-with $rejectwith6
REJECT reset | 46 | filter | * | -p tcp --dport $p -j REJECT --reject-with tcp-reset
SECMARK | 46n | security | IFO | $m -j SECMARK --selctx unconfined
SET add | 4 | mangle filter | * | $m -j SET --add-set dyn $srcdst
SET del | 4 | mangle filter | * | $m -j SET --del-set dyn $srcdst
SET add timeout | 4 | mangle | * | $m -j SET --add-set dynt $srcdst --timeout 600 --exist
SET map | 4 | mangle | FOT | $m -j SET --map-set skb $srcdst --map-mark --map-prio
SNAT | 4 | nat | T | $m -j SNAT --to-source $a
SNAT port | 4 | nat | T | $tu -j SNAT --to-source $a:31000
SNAT persistent | 4 | nat | TI | $m -j SNAT --to-source 192.0.2.200 --persistent
SNAT6 | 6 | nat | T | $m -j SNAT --to-source $b
SNPT | 6 | mangle | T | -s 2001:db8:1::/64 -j SNPT --src-pfx 2001:db8:1::/64 --dst-pfx 2001:db8:77::/64
DNPT | 6 | mangle | P | -d 2001:db8:1::/64 -j DNPT --src-pfx 2001:db8:1::/64 --dst-pfx 2001:db8:2::/64
SYNPROXY | 46 | filter | IF | -p tcp --dport $p -m conntrack --ctstate INVALID,UNTRACKED,NEW -j SYNPROXY --sack-perm --timestamp --wscale 7 --mss 1460
TCPMSS | 46 | mangle | * | -p tcp --syn -j TCPMSS --set-mss 1400
TCPMSS clamp | 46 | mangle | FOT | -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
TCPOPTSTRIP | 46 | mangle | * | -p tcp -j TCPOPTSTRIP --strip-options 2,4,8
TOS | 46 | mangle | * | $m -j TOS --set-tos 0x10/0x3f
TOS and | 46 | mangle | * | $m -j TOS --and-tos 0x0f
TOS xor | 46 | mangle | * | $m -j TOS --xor-tos 0x04
TPROXY | 4 | mangle | P | -p $tuproto --dport $p -j TPROXY --on-port $p2 --tproxy-mark 0x1/0xff
TPROXY ip | 4 | mangle | P | -p $tuproto --dport 1:1000 -j TPROXY --on-port $p2 --on-ip $a
TPROXY6 | 6 | mangle | P | -p $tuproto --dport 1:1000 -j TPROXY --on-port $p2 --on-ip $b
TRACE | 46 | raw | * | $m -j TRACE
TTL set | 4 | mangle | * | $m -j TTL --ttl-set 30
TTL inc | 4 | mangle | * | $m -j TTL --ttl-inc 5
TTL dec | 4 | mangle | * | $rare -j TTL --ttl-dec 1
LED | 46n | filter | * | $m -j LED --led-trigger-id $idle
"""
"""tag | families | tables | chains | rule."""

UNKNOWABLE = """
statistic drop | 46 | filter mangle raw | * | -m statistic --mode random --probability 0.5 -j DROP
nth drop | 46 | filter | * | -m statistic --mode nth --every 2 --packet 0 -j DROP
xt limit accept | 46 | filter | * | -m limit --limit 1/hour --limit-burst 2 -j ACCEPT
xt limit drop | 46 | filter | * | $rare -m limit --limit 1/hour --limit-burst 1 -j DROP
hashlimit drop | 46 | filter | * | -m hashlimit --hashlimit-above 1/hour --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name $hl -j DROP
recent drop | 46 | filter | * | -m recent --name $rc --update --seconds 60 --hitcount 2 -j DROP
recent set and drop | 46 | filter | * | -m recent --name $rc --set ;; -m recent --name $rc --rcheck --hitcount 3 -j DROP
xt connlimit drop | 46 | filter | * | -m connlimit --connlimit-above 1 --connlimit-mask 0 -j DROP
quota drop | 46 | filter | * | -m quota --quota 150 -j DROP
xt cpu drop | 46 | filter | * | $rare -m cpu --cpu 0 -j DROP
connbytes drop | 46 | filter | * | -m connbytes --connbytes 2: --connbytes-mode packets --connbytes-dir original -j DROP
ctexpire drop | 46 | filter | * | -m conntrack --ctexpire 1:29 -j DROP
NFQUEUE | 46 | filter | * | $rare -j NFQUEUE --queue-num 5
NFQUEUE bypass | 46 | filter | * | $rare -j NFQUEUE --queue-num 5 --queue-bypass
NFQUEUE balance | 46 | filter | * | $rare -j NFQUEUE --queue-balance 1:4 --queue-cpu-fanout
DNAT random | 4 | nat | PO | $tu -j DNAT --to-destination $a:8000-8010 --random
MASQUERADE random | 46 | nat | T | $tu -j MASQUERADE --random-fully
MASQUERADE range | 46 | nat | T | $tu -j MASQUERADE --to-ports 30000-40000 --random
SNAT random | 4 | nat | T | $tu -j SNAT --to-source $a:31000-32000 --random-fully
REDIRECT random | 46 | nat | PO | $tu -j REDIRECT --to-ports 5000-5003 --random
xt osf drop | 4 | filter | IF | -p tcp -m osf --genre pktdiag -j DROP
bpf drop | 46 | filter | * | $rare -m bpf --bytecode "4,48 0 0 9,21 0 1 17,6 0 0 1,6 0 0 0" -j DROP
set counter drop | 4 | filter | * | -m set --match-set counted $srcdst --packets-gt 1 -j DROP
HMARK secret | 46 | mangle | * | $m -j HMARK --hmark-tuple src --hmark-mod 4 --hmark-rnd 0 ;; -m mark --mark 0x1 -j DROP
"""

IPSETS = """
ips | create ips hash:ip ;; add ips $a ;; add ips $a2
ips6 | create ips6 hash:ip family inet6 ;; add ips6 $b
ipports | create ipports hash:ip,port ;; add ipports $a,tcp:$p ;; add ipports $a2,udp:$p2
nets | create nets hash:net ;; add nets $n4 ;; add nets $a nomatch
nets6 | create nets6 hash:net family inet6 ;; add nets6 $n6
ports | create ports hash:ip,port,ip ;; add ports $a,udp:$p,$a2
bitmap | create bitmap bitmap:ip range 10.1.0.0/24 ;; add bitmap 10.1.0.1
bmport | create bmport bitmap:port range 0-1024 ;; add bmport $plow
bmipmac | create bmipmac bitmap:ip,mac range 10.1.0.0/24 ;; add bmipmac 10.1.0.1,$mac
macs | create macs hash:mac ;; add macs $mac
ipmacs | create ipmacs hash:ip,mac ;; add ipmacs $a,$mac
ipmarks | create ipmarks hash:ip,mark ;; add ipmarks $a,0x0 ;; add ipmarks $a2,0x1
netports | create netports hash:net,port ;; add netports $n4,udp:$p ;; add netports $n4,tcp:$p2
netnets | create netnets hash:net,net ;; add netnets $n4,10.0.0.0/8
netifaces | create netifaces hash:net,iface ;; add netifaces $n4,$d
ipportips | create ipportips hash:ip,port,ip ;; add ipportips $a,udp:$p,$a2
ipportnets | create ipportnets hash:ip,port,net ;; add ipportnets $a,udp:$p,10.0.0.0/8 ;; add ipportnets $a2,tcp:$p2,10.0.0.0/8
netportnets | create netportnets hash:net,port,net ;; add netportnets $n4,udp:$p,10.0.0.0/8 ;; add netportnets $n4,tcp:$p2,10.0.0.0/8
counted | create counted hash:ip counters ;; add counted $a packets 1 bytes 100 ;; add counted $a2
timed | create timed hash:ip timeout 600 ;; add timed $a
all | create in1 hash:ip ;; create in2 hash:net ;; create all list:set ;; add in1 $a ;; add in2 $n4 ;; add all in1 ;; add all in2
dyn | create dyn hash:ip
dynt | create dynt hash:ip timeout 600
skb | create skb hash:ip skbinfo ;; add skb $a skbmark 0x2 skbprio 1:5
"""

EBTABLES = """
802_3 | -p LENGTH --802_3-type 0x1234
among src | --among-src $mac=$a,$mac2,
among dst | ! --among-dst $mac,$mac2=$a2,
arp | -p ARP --arp-opcode Request
arp ip | -p ARP ! --arp-ip-dst $a
arp mac | -p ARP --arp-mac-src $mac
ip src | -p IPv4 $not--ip-src $n4
ip proto | -p IPv4 --ip-proto $tuproto $not--ip-dport $p
ip tos | -p IPv4 $not--ip-tos 0x10
ip icmp | -p IPv4 --ip-proto icmp $not--ip-icmp-type echo-request
ip6 | -p IPv6 $not--ip6-src $n6
ip6 proto | -p IPv6 --ip6-proto udp --ip6-dport $p
ebt limit | --limit 1/m --limit-burst 2
mark_m | $not--mark 0x$low
ebt pkttype | $not--pkttype-type otherhost
stp | -d BGA --stp-type 1
vlan | -p 802_1Q --vlan-id 5
proto | $not-p IPv4
source | $not-s $mac
destination | $not-d $mac
in | $not-i $d
logical in | --logical-in $br
"""
EBTARGETS = """
ebt ACCEPT | $not-s $mac -j ACCEPT
ebt DROP | -p IPv4 --ip-dst $a --ip-proto $tuproto -j DROP
ebt CONTINUE | $not-s $mac -j CONTINUE
ebt RETURN | $not-d $mac -j RETURN
ebt mark set | $not-s $mac -j mark --mark-set 0x$k --mark-target CONTINUE
ebt mark or | $not-d $mac -j mark --mark-or 0x4
ebt log | $not-s $mac --log-level info --log-prefix "eb" --log-ip -j CONTINUE
ebt nflog | $not-s $mac --nflog-group 5 -j CONTINUE
"""
ARPTABLES = """
arpt opcode | --opcode 1
arpt source ip | $not-s $n4
arpt destination ip | $not-d $a
arpt source mac | $not--source-mac $mac
arpt in | $not-i $d
arpt h-type | $not--h-type 1
arpt proto-type | $not--proto-type 0x800
arpt h-length | $not--h-length 6
"""
ARPTARGETS = """
arpt ACCEPT | $not-s $a -j ACCEPT
arpt DROP | -s $a -d $a2 -j DROP
arpt mangle | -d $a -j mangle --mangle-ip-s $a2
"""

LATER = """
TEE | 4 | mangle | * | $rare -j TEE --gateway $a
TEE6 | 6 | mangle | * | $rare -j TEE --gateway $b
"""
"""Copies are said in words by the trace, and not followed. On no host."""
