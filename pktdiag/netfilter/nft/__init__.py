"""nf_tables: decoded from the kernel's own netlink payloads, evaluated on registers, rendered as ``nft`` prints it."""
