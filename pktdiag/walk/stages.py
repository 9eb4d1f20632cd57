"""The stages of a packet's way, in the kernel's order. One stage, one place.

::

      wire / peer device                                                  local process
            |                                                                   |
     device-receive                                                       local-output ---- OUTPUT hooks
            |                                                                   |  (reroute after mark/DNAT)
           xdp            (generic or native; a program cannot be read)         |
            |                                                                   |
           tap            (AF_PACKET: "in" sighting)                            |
            |                                                                   |
       tc-ingress                                                               |
            |                                                                   |
    netfilter-ingress                                                           |
            |                                                                   |
    bridge / macvlan / ...  -- bridge hooks, br_netfilter --+                   |
            |                                               |                   |
       ip-receive         (header checks, otherhost)    bridge-forward          |
            |                                               |                   |
       prerouting         (raw, conntrack, mangle, dnat)    |                   |
            |                                               |                   |
         routing          (rules, FIB, rp_filter, martians) |                   |
         |      |                                           |                   |
     forward   input ---- socket (or port unreachable, RST) |                   |
         |                                                  |                   |
         +---------------------- postrouting ---------------|-------------------+
                                      |                     |
                                  neighbour  (ARP / ND)     |
                                      |                     |
                               netfilter-egress  <----------+
                                      |
                                  tc-egress
                                      |
                                    qdisc
                                      |
                               device-transmit   (tap: "out" sighting), then the peer's device-receive

"""

from __future__ import annotations

STAGES = (
    "local-output", "device-receive", "xdp", "tap", "tc-ingress", "netfilter-ingress", "bridge", "bridge-prerouting", "bridge-input",
    "bridge-forward", "bridge-output", "bridge-postrouting", "macvlan", "tunnel", "arp", "ip-receive", "prerouting",
    "routing", "forward", "input", "socket", "output", "postrouting", "fragment", "neighbour", "netfilter-egress",
    "tc-egress", "qdisc", "device-transmit",
)
