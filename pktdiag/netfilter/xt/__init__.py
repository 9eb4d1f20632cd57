"""xtables: iptables, ip6tables, arptables and ebtables rules as the kernel holds them.

``blob`` cuts a getsockopt reply into rules, ``evaluate`` runs a legacy table, ``compat`` is the one door to every match
and target (``matches/``, ``targets/``: one extension per file), whoever holds the blob: a legacy table or an nft rule.
"""
