"""Rules as the tool that made them prints them: ``nft list ruleset``, or ``iptables-save`` for what iptables-nft made."""
