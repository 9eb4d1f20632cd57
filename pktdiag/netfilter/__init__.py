"""Netfilter, pure: decoding of rules as the kernel holds them, evaluation, and rendering in their own tools' syntax.

``context``  what an evaluation sees and may do       ``hooks``  everything at one hook, in the kernel's order
``nft/``     nf_tables: one expression per file        ``xt/``    iptables, ip6tables, ebtables, arptables; ipset
"""
