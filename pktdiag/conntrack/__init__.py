"""Connection tracking and NAT, as the kernel's nf_conntrack and nf_nat do it. Pure: packets and a view in, data out.

``track`` is what runs at priority -200 and at the very end, ``bind`` chooses a NAT binding, ``manip`` rewrites packets.
"""
