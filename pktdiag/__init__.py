"""pktdiag: where does this packet go on this host, and if it is dropped, why?

Read-only: nothing is sent, nothing on the host is changed. The packages, in the direction imports point
(``tests/test_architecture.py`` holds them to it)::

    model  <-  collect                        reads the live kernel (netlink, getsockopt, /proc, /sys)
    model  <-  netfilter <- conntrack <- walk  pure: decodes rules, evaluates them, walks a packet
    walk   <-  explain  <-  render  <-  cli   turns a walk into causes, fixes, text, JSON
"""

__version__ = "0.1.0"
