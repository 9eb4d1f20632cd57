"""Scenarios of the link layer, each a host and the packets sent on it, judged against the kernel by ``test_link_layer``."""

from __future__ import annotations

from .hosts import BRIDGED, CABLE, ROUTED, Host, frame, host, ping, udp

SCENARIOS: dict[str, Host] = {
    "two namespaces on one cable": host(*CABLE, packets=[
        udp("a", "192.0.2.2"), ping("a", "192.0.2.2"), udp("a", "192.0.2.9"), udp("a", "127.0.0.1"), udp("a", "192.0.2.1")]),
    "the other end of the cable is down": host(*CABLE, "b: link set e0 down", packets=[udp("a", "192.0.2.2")]),
    "the cable's MTUs differ": host(*CABLE, "b: link set e0 mtu 1000", packets=[
        udp("a", "192.0.2.2", size=990), udp("a", "192.0.2.2", size=1004, answer=False), udp("a", "192.0.2.2", size=1005),
        udp("a", "192.0.2.2", size=1300), ping("a", "192.0.2.2", size=1300)]),
    "a frame for another station": host(*CABLE, packets=[frame("a", "e0", "02:00:00:00:00:77", "192.0.2.1", "192.0.2.2")]),
    "a permanent neighbour entry that is wrong": host(
        *CABLE, "a: neigh add 192.0.2.2 lladdr 02:00:00:00:00:77 dev e0 nud permanent", packets=[udp("a", "192.0.2.2")]),
    "a stale neighbour entry that is wrong": host(
        *CABLE, "a: neigh add 192.0.2.2 lladdr 02:00:00:00:00:77 dev e0 nud stale", packets=[udp("a", "192.0.2.2")]),
    "no ARP on the device": host(*CABLE, "a: link set e0 arp off", packets=[udp("a", "192.0.2.2")]),
    "arp_ignore=1, address on another interface": host(
        *CABLE, "b: addr add 203.0.113.5/32 dev lo", "a: route add 203.0.113.5/32 dev e0",
        "b: sysctl net/ipv4/conf/e0/arp_ignore=1", packets=[udp("a", "203.0.113.5"), udp("a", "192.0.2.2")]),
    "arp_ignore=0, address on another interface": host(
        *CABLE, "b: addr add 203.0.113.5/32 dev lo", "a: route add 203.0.113.5/32 dev e0",
        packets=[udp("a", "203.0.113.5")]),
    "arp_ignore=2 and a sender from elsewhere": host(
        *CABLE, "a: addr add 203.0.113.1/32 dev e0", "b: sysctl net/ipv4/conf/all/arp_ignore=2",
        packets=[udp("a", "192.0.2.2", src="203.0.113.1"), udp("a", "192.0.2.2")]),
    "arp_ignore=8": host(*CABLE, "b: sysctl net/ipv4/conf/e0/arp_ignore=8", packets=[udp("a", "192.0.2.2")]),
    "arp_announce=2 with two addresses": host(
        *CABLE, "a: addr add 203.0.113.1/24 dev e0", "b: sysctl net/ipv4/conf/all/arp_ignore=2", "a: sysctl net/ipv4/conf/e0/arp_announce=2",
        packets=[udp("a", "192.0.2.2", src="203.0.113.1")]),
    "arp_filter and the way back through another device": host(
        *CABLE, "a: link add e1 type veth peer name e1 netns NETNS(b)", "a: link set e1 up", "b: link set e1 up",
        "b: route replace 192.0.2.0/24 dev e1 src 192.0.2.2", "b: sysctl net/ipv4/conf/e0/arp_filter=1", packets=[udp("a", "192.0.2.2")]),
    "proxy_arp": host(*ROUTED, "a: route del default", "a: route add default dev e0", "r: sysctl net/ipv4/conf/ra/proxy_arp=1",
                      "r: sysctl net/ipv4/neigh/ra/proxy_delay=0",
                      packets=[udp("a", "203.0.113.2")]),
    "a proxy neighbour entry": host(*ROUTED, "a: route del default", "a: route add default dev e0", "r: neigh add proxy 203.0.113.2 dev ra",
                                    "r: sysctl net/ipv4/neigh/ra/proxy_delay=0",
                                    packets=[udp("a", "203.0.113.2"), udp("a", "203.0.113.7")]),
    "an arp table that drops the question": host(
        *CABLE, "b: nft add table arp f", "b: nft add chain arp f i { type filter hook input priority 0; }",
        "b: nft add rule arp f i arp saddr ip 192.0.2.1 counter drop", packets=[udp("a", "192.0.2.2")]),
    "an arp table that drops the answer": host(
        *CABLE, "b: nft add table arp f", "b: nft add chain arp f o { type filter hook output priority 0; }",
        "b: nft add rule arp f o arp operation reply counter drop", packets=[udp("a", "192.0.2.2")]),
    "arptables that drop the question": host(
        *CABLE, "b: xt arptables-nft filter -A INPUT -s 192.0.2.1 -j DROP", packets=[udp("a", "192.0.2.2")]),
    "netdev ingress drop": host(
        *CABLE, "b: nft add table netdev f", "b: nft add chain netdev f i { type filter hook ingress device e0 priority 0; }",
        "b: nft add rule netdev f i ip saddr 192.0.2.1 counter drop", packets=[udp("a", "192.0.2.2")]),
    "netdev egress drop": host(
        *CABLE, "a: nft add table netdev f", "a: nft add chain netdev f e { type filter hook egress device e0 priority 0; }",
        "a: nft add rule netdev f e udp dport 53 counter drop", packets=[udp("a", "192.0.2.2"), udp("a", "192.0.2.2", 54), udp("a", "192.0.2.2")]),
    "an ifb swallows": host("a: link add d0 type ifb", "a: link set d0 up", "a: addr add 192.0.2.1/24 dev d0",
                            packets=[udp("a", "192.0.2.2")]),
    "a tap device nobody holds": host(
        "a: tuntap add d0 mode tap", "a: link set d0 up", "a: addr add 192.0.2.1/24 dev d0",
        "a: neigh add 192.0.2.2 lladdr 02:00:00:00:00:77 dev d0 nud permanent", packets=[udp("a", "192.0.2.2")]),
    "the sender's device is down": host(*CABLE, "a: link set e0 down", packets=[udp("a", "192.0.2.2")]),

    "bridge": host(*BRIDGED, packets=[udp("a", "198.51.100.12"), ping("a", "198.51.100.1"), udp("h", "198.51.100.12"),
                                      udp("a", "198.51.100.77"), ping("c", "198.51.100.12")]),
    "bridge, unknown unicast is flooded": host(*BRIDGED, "a: neigh add 198.51.100.12 lladdr 02:00:00:00:00:77 dev e0 nud permanent",
                                               packets=[udp("a", "198.51.100.12")]),
    "bridge, flooded in the order the ports joined": host(
        *[part for part in BRIDGED if "master" not in part], "h: link set vb up", "h: link set vb master br0", "h: link set va up",
        "h: link set va master br0", "h: link set vc up", "h: link set vc master br0",
        "a: neigh add 198.51.100.12 lladdr 02:00:00:00:00:77 dev e0 nud permanent",
        "c: neigh add 198.51.100.12 lladdr 02:00:00:00:00:77 dev e0 nud permanent", packets=[udp("a", "198.51.100.12"), udp("c", "198.51.100.12")]),
    "bridge without IP address": host(*BRIDGED, "h: addr del 198.51.100.1/24 dev br0", packets=[udp("a", "198.51.100.12")]),
    "bridge port down": host(*BRIDGED, "h: link set vb down", packets=[udp("a", "198.51.100.12"), udp("h", "198.51.100.12")]),
    "bridge is down": host(*BRIDGED, "h: link set br0 down", packets=[udp("a", "198.51.100.12"), udp("a", "198.51.100.1")]),
    "bridge without a living port": host(*BRIDGED, "h: link set va down", "h: link set vb down", "h: link set vc down",
                                         packets=[udp("h", "198.51.100.12")]),
    "isolated ports": host(*BRIDGED, "h: bridge link set dev va isolated on", "h: bridge link set dev vb isolated on",
                           packets=[udp("a", "198.51.100.12"), udp("a", "198.51.100.13"), udp("a", "198.51.100.1")]),
    "a blocking port": host(*BRIDGED, "h: bridge link set dev va state 4", packets=[udp("a", "198.51.100.12"), udp("b", "198.51.100.11")]),
    "a learning port": host(*BRIDGED, "h: bridge link set dev va state 2", packets=[udp("a", "198.51.100.12")]),
    "no flooding of unknown unicast": host(
        *BRIDGED, "h: bridge link set dev vb flood off", "h: bridge link set dev vc flood off",
        "a: neigh add 198.51.100.12 lladdr 02:00:00:00:00:77 dev e0 nud permanent", packets=[udp("a", "198.51.100.12")]),
    "a static FDB entry that is wrong": host(
        *BRIDGED, "b: link set e0 address 02:00:00:00:00:0b", "h: bridge fdb add 02:00:00:00:00:0b dev vc master static sticky",
        "a: neigh add 198.51.100.12 lladdr 02:00:00:00:00:0b dev e0 nud permanent", packets=[udp("a", "198.51.100.12")]),
    "hairpin off and on": host(*BRIDGED, "a: neigh add 198.51.100.12 lladdr 02:00:00:00:00:77 dev e0 nud permanent",
                               "h: bridge fdb add 02:00:00:00:00:77 dev va master static", packets=[udp("a", "198.51.100.12")]),
    "hairpin on": host(*BRIDGED, "a: neigh add 198.51.100.12 lladdr 02:00:00:00:00:77 dev e0 nud permanent",
                       "h: bridge fdb add 02:00:00:00:00:77 dev va master static", "h: bridge link set dev va hairpin on",
                       packets=[udp("a", "198.51.100.12")]),
    "a frame for a port's own address": host(*BRIDGED, "h: link set va address 02:00:00:00:00:aa", packets=[
        frame("a", "e0", "02:00:00:00:00:aa", "198.51.100.11", "198.51.100.1"),
        frame("b", "e0", "02:00:00:00:00:aa", "198.51.100.12", "198.51.100.1")]),
    "a frame with a group address as its source": host(*BRIDGED, packets=[
        frame("a", "e0", "ff:ff:ff:ff:ff:ff", "198.51.100.11", "198.51.100.12", smac="01:00:5e:00:00:01")]),
    "link-local frames": host(*BRIDGED, packets=[
        frame("a", "e0", "01:80:c2:00:00:00", "198.51.100.11", "198.51.100.12"), frame("a", "e0", "01:80:c2:00:00:01", "198.51.100.11", "198.51.100.12"),
        frame("a", "e0", "01:80:c2:00:00:03", "198.51.100.11", "198.51.100.12"), frame("a", "e0", "01:80:c2:00:00:0e", "198.51.100.11", "198.51.100.12")]),
    "bridge port of smaller MTU": host(*BRIDGED, "h: link set vb mtu 1000", packets=[
        udp("a", "198.51.100.12", size=1300)]),
    "bridge chains": host(
        *BRIDGED, "h: nft add table bridge f", "h: nft add chain bridge f p { type filter hook prerouting priority -300; }",
        "h: nft add chain bridge f fw { type filter hook forward priority -200; }",
        "h: nft add chain bridge f o { type filter hook output priority 0; }", "h: nft add chain bridge f i { type filter hook input priority 0; }",
        "h: nft add chain bridge f po { type filter hook postrouting priority 300; }",
        "h: nft add rule bridge f p udp dport 1001 counter drop", "h: nft add rule bridge f fw udp dport 1002 counter drop",
        "h: nft add rule bridge f o udp dport 1003 counter drop", "h: nft add rule bridge f i udp dport 1004 counter drop",
        "h: nft add rule bridge f po udp dport 1005 counter drop", "h: nft add rule bridge f fw meta ibrname br0 iifname va oifname vb counter",
        packets=[udp("a", "198.51.100.12", 1001), udp("a", "198.51.100.12", 1002), udp("h", "198.51.100.12", 1003),
                 udp("a", "198.51.100.1", 1004), udp("a", "198.51.100.12", 1005), udp("a", "198.51.100.12")]),
    "ebtables": host(
        *BRIDGED, "h: xt ebtables-nft filter -A FORWARD -p IPv4 --ip-proto udp --ip-dport 1002 -j DROP",
        packets=[udp("a", "198.51.100.12", 1002), udp("a", "198.51.100.12")]),
    "a bridge chain drops the ARP answer": host(
        *BRIDGED, "h: nft add table bridge f", "h: nft add chain bridge f fw { type filter hook forward priority 0; }",
        "h: nft add rule bridge f fw ether type arp arp operation reply counter drop", packets=[udp("a", "198.51.100.12")]),

    "br_netfilter: iptables FORWARD drops bridged packets": host(
        *BRIDGED, "h: sysctl net/bridge/bridge-nf-call-iptables=1", "h: xt iptables-nft filter :FORWARD DROP [0:0]",
        "h: xt iptables-nft filter -A FORWARD -p udp --dport 53 -i br0 -o br0 -j ACCEPT",
        packets=[udp("a", "198.51.100.12", 1002), udp("a", "198.51.100.12"), udp("a", "198.51.100.1")]),
    "br_netfilter switched off": host(
        *BRIDGED, "h: sysctl net/bridge/bridge-nf-call-iptables=0", "h: xt iptables-nft filter :FORWARD DROP [0:0]",
        packets=[udp("a", "198.51.100.12")]),
    "br_netfilter switched on for one bridge": host(
        *BRIDGED, "h: sysctl net/bridge/bridge-nf-call-iptables=0", "h: link set br0 type bridge nf_call_iptables 1",
        "h: xt iptables-nft filter -A FORWARD -m physdev --physdev-in va --physdev-out vb -j DROP", packets=[udp("a", "198.51.100.12")]),
    "br_netfilter: bridge chains around priority 0": host(
        *BRIDGED, "h: sysctl net/bridge/bridge-nf-call-iptables=1", "h: nft add table bridge f",
        "h: nft add chain bridge f fw { type filter hook forward priority 0; }", "h: nft add chain bridge f f1 { type filter hook forward priority 1; }",
        "h: nft add rule bridge f fw udp dport 53 counter drop", "h: nft add rule bridge f f1 udp dport 54 counter drop",
        packets=[udp("a", "198.51.100.12"), udp("a", "198.51.100.12", 54)]),
    "br_netfilter: bridge chains before priority 0": host(
        *BRIDGED, "h: sysctl net/bridge/bridge-nf-call-iptables=1", "h: nft add table bridge f",
        "h: nft add chain bridge f fw { type filter hook forward priority -1; }", "h: nft add chain bridge f f0 { type filter hook forward priority 0; }",
        "h: nft add rule bridge f fw counter", "h: nft add rule bridge f fw udp dport 54 counter drop", "h: nft add rule bridge f f0 counter",
        packets=[udp("a", "198.51.100.12"), udp("a", "198.51.100.12", 54)]),
    "br_netfilter: DNAT to another station of the bridge": host(
        *BRIDGED, "h: sysctl net/bridge/bridge-nf-call-iptables=1",
        "h: xt iptables-nft nat -A PREROUTING -p udp --dport 99 -j DNAT --to-destination 198.51.100.12:53", packets=[udp("a", "198.51.100.13", 99)]),
    "br_netfilter: DNAT to another station of the bridge, forwarding": host(
        *BRIDGED, "h: sysctl net/bridge/bridge-nf-call-iptables=1", "h: sysctl net/ipv4/ip_forward=1",
        "h: xt iptables-nft nat -A PREROUTING -p udp --dport 99 -j DNAT --to-destination 198.51.100.12:53", packets=[
            udp("a", "198.51.100.13", 99), udp("a", "198.51.100.1", 99, sport=4001), udp("c", "198.51.100.77", 99)]),
    "br_netfilter: SNAT between ports, forwarding": host(
        *BRIDGED, "h: sysctl net/bridge/bridge-nf-call-iptables=1", "h: sysctl net/ipv4/ip_forward=1",
        "h: xt iptables-nft nat -A POSTROUTING -p udp --dport 53 -j SNAT --to-source 198.51.100.1", packets=[udp("a", "198.51.100.12")]),
    "br_netfilter: REDIRECT of bridged packets": host(
        *BRIDGED, "h: sysctl net/bridge/bridge-nf-call-iptables=1",
        "h: xt iptables-nft nat -A PREROUTING -p udp --dport 99 -j REDIRECT --to-ports 53", packets=[udp("a", "198.51.100.12", 99)]),
    "br_netfilter: MASQUERADE between ports": host(
        *BRIDGED, "h: sysctl net/bridge/bridge-nf-call-iptables=1",
        "h: xt iptables-nft nat -A POSTROUTING -p udp --dport 53 -j SNAT --to-source 198.51.100.1", packets=[udp("a", "198.51.100.12")]),
    "br_netfilter: the host's own packets pass PREROUTING once": host(
        *BRIDGED, "h: sysctl net/bridge/bridge-nf-call-iptables=1", "h: xt iptables-nft raw -A PREROUTING -p udp --dport 53",
        "h: xt iptables-nft filter -A INPUT -p udp --dport 53", packets=[udp("a", "198.51.100.1")]),
    "br_netfilter: no NAT in INPUT for broadcasts": host(
        *BRIDGED, "h: sysctl net/bridge/bridge-nf-call-iptables=1", "h: xt iptables-nft nat -A INPUT -j SNAT --to-source 198.51.100.77",
        "h: xt iptables-nft filter -A INPUT -s 198.51.100.77", "h: xt iptables-nft filter -A INPUT -m conntrack --ctstatus CONFIRMED",
        packets=[udp("a", "198.51.100.255", broadcast=True, answer=False), udp("a", "198.51.100.1")]),
    "br_netfilter: a promiscuous bridge takes off connections": host(
        *BRIDGED, "h: link set br0 promisc on", "h: sysctl net/bridge/bridge-nf-call-iptables=1",
        "h: xt iptables-nft nat -A INPUT -j SNAT --to-source 198.51.100.77",
        "h: xt iptables-nft filter -A INPUT -m conntrack --ctstate INVALID -j DROP",
        packets=[udp("a", "198.51.100.255", broadcast=True, answer=False), udp("a", "198.51.100.1"), udp("a", "198.51.100.12")]),
    "a promiscuous bridge, without the detour": host(
        *BRIDGED, "h: link set br0 promisc on", "h: sysctl net/bridge/bridge-nf-call-iptables=0",
        "h: xt iptables-nft filter -A INPUT -m conntrack --ctstate INVALID -j DROP",
        packets=[udp("a", "198.51.100.255", broadcast=True, answer=False), udp("a", "198.51.100.1")]),
    "br_netfilter: arptables FORWARD": host(
        *BRIDGED, "h: sysctl net/bridge/bridge-nf-call-arptables=1", "h: xt arptables-nft filter -A FORWARD -s 198.51.100.12 -j DROP",
        packets=[udp("a", "198.51.100.12"), udp("a", "198.51.100.13", 9)]),
    "br_netfilter and a port of smaller MTU": host(
        *BRIDGED, "h: sysctl net/bridge/bridge-nf-call-iptables=1", "h: link set vb mtu 1000", packets=[udp("a", "198.51.100.12", size=1003)]),

    "VLAN filtering": host(
        *BRIDGED, "h: link set br0 type bridge vlan_filtering 1", "h: bridge vlan del dev vb vid 1", "h: bridge vlan add dev vb vid 20 pvid untagged",
        packets=[udp("a", "198.51.100.12"), udp("a", "198.51.100.13", 9), udp("b", "198.51.100.1")]),
    "VLAN filtering without a PVID": host(
        *BRIDGED, "h: link set br0 type bridge vlan_filtering 1", "h: bridge vlan del dev va vid 1", packets=[udp("a", "198.51.100.12")]),
    "VLAN filtering, the bridge device outside": host(
        *BRIDGED, "h: link set br0 type bridge vlan_filtering 1", "h: bridge vlan del dev br0 vid 1 self", packets=[
            udp("a", "198.51.100.12"), udp("a", "198.51.100.1"), udp("h", "198.51.100.12")]),
    "VLAN devices": host(
        *CABLE, "a: link add link e0 name e0.5 type vlan id 5", "b: link add link e0 name e0.5 type vlan id 5",
        "a: link set e0.5 up", "b: link set e0.5 up", "a: addr add 203.0.113.1/24 dev e0.5", "b: addr add 203.0.113.2/24 dev e0.5",
        packets=[udp("a", "203.0.113.2"), udp("a", "203.0.113.3")]),
    "a VLAN nobody takes": host(
        *CABLE, "a: link add link e0 name e0.5 type vlan id 5", "a: link set e0.5 up", "a: addr add 203.0.113.1/24 dev e0.5",
        "a: neigh add 203.0.113.2 lladdr 02:00:00:00:00:77 dev e0.5 nud permanent", packets=[udp("a", "203.0.113.2")]),
    "macvlan, bridge mode": host(
        *CABLE, "b: link add link e0 name m0 type macvlan mode bridge", "b: link set m0 up", "b: addr add 192.0.2.20/24 dev m0",
        "b: sysctl net/ipv4/conf/all/arp_ignore=1", packets=[udp("a", "192.0.2.20")]),
    "macvlan in a namespace of its own": host(
        *CABLE, "c: link set lo up", "b: link add link e0 name m0 netns NETNS(c) type macvlan mode bridge", "c: link set m0 up",
        "c: addr add 192.0.2.20/24 dev m0", "c: listen udp 0.0.0.0 53", packets=[udp("a", "192.0.2.20"), udp("c", "192.0.2.1"), udp("b", "192.0.2.20")]),

    "vxlan between two namespaces": host(
        *CABLE, "a: link add x0 type vxlan id 5 dstport 4789 srcport 40000 40001 remote 192.0.2.2 local 192.0.2.1",
        "b: link add x0 type vxlan id 5 dstport 4789 srcport 40000 40001 remote 192.0.2.1 local 192.0.2.2", "a: link set x0 up", "b: link set x0 up",
        "a: addr add 203.0.113.1/24 dev x0", "b: addr add 203.0.113.2/24 dev x0",
        packets=[udp("a", "203.0.113.2"), udp("a", "203.0.113.3")]),
    "vxlan with another identifier": host(
        *CABLE, "a: link add x0 type vxlan id 5 dstport 4789 srcport 40000 40001 remote 192.0.2.2 local 192.0.2.1",
        "b: link add x0 type vxlan id 6 dstport 4789 srcport 40000 40001 remote 192.0.2.1 local 192.0.2.2", "a: link set x0 up", "b: link set x0 up",
        "a: addr add 203.0.113.1/24 dev x0", "b: addr add 203.0.113.2/24 dev x0",
        "a: neigh add 203.0.113.2 lladdr 02:00:00:00:00:77 dev x0 nud permanent", packets=[udp("a", "203.0.113.2")]),
    "IPv6 on one cable": host(
        *CABLE, "a: addr add 2001:db8::1/64 dev e0 nodad", "b: addr add 2001:db8::2/64 dev e0 nodad", "b: listen udp :: 53",
        packets=[udp("a", "2001:db8::2"), ping("a", "2001:db8::2"), udp("a", "2001:db8::9")]),
    "IPv6 over a bridge": host(
        *BRIDGED, "h: addr add 2001:db8::1/64 dev br0 nodad", "a: addr add 2001:db8::a/64 dev e0 nodad", "b: addr add 2001:db8::b/64 dev e0 nodad",
        "b: listen udp :: 53", packets=[udp("a", "2001:db8::b"), ping("a", "2001:db8::1")]),
    "IPv6: INPUT drops the solicitation": host(
        *CABLE, "a: addr add 2001:db8::1/64 dev e0 nodad", "b: addr add 2001:db8::2/64 dev e0 nodad",
        "b: nft add table ip6 f", "b: nft add chain ip6 f i { type filter hook input priority 0; policy drop; }",
        "b: nft add rule ip6 f i udp dport 53 accept", packets=[udp("a", "2001:db8::2")]),
}
