"""Whether a part of the kernel is there, found out without making the kernel load it.

nfnetlink_rcv_msg() (net/netfilter/nfnetlink.c) loads the module of a subsystem it is asked about and does not have:
reading the nftables rules of a host without nf_tables would change it. A part that is not loaded holds nothing, so
not asking gives the same answer.

Two windows onto things that are there whether or not the window is open are still asked, as ``ss`` and ``conntrack``
do, and may be loaded by the kernel for it: sock_diag (tcp_diag, udp_diag, …) and nf_conntrack_netlink. Neither touches
a packet.
"""

from __future__ import annotations

import os

_known: dict[str, bool] = {}


def kernel_has(module: str) -> bool:
    """True when ``module`` (underscores) is loaded or built in, or when asking cannot load anything."""
    if module not in _known:
        _known[module] = _find(module)
    return _known[module]


def present(module: str) -> bool:
    """As ``kernel_has``, for a module that is mostly absent: the slow symbol table is not searched."""
    key = f"{module} at a glance"
    if key not in _known:
        _known[key] = os.access(f"/sys/module/{module}", os.F_OK) or _built_in(module)
    return _known[key]


def _built_in(module: str) -> bool:
    try:
        with open(f"/lib/modules/{os.uname().release}/modules.builtin", "rb") as file:
            return f"/{module}.ko".encode() in file.read().replace(b"-", b"_")
    except OSError:
        return False


def has_function(module: str, function: str) -> bool | None:
    """Whether a function of that name is in the kernel's description of the types of ``module``, or of itself where the module is
    built in (kernel/bpf/sysfs_btf.c, kernel/bpf/btf.c: btf_module_read); None where there is no such description.

    A look at a few kilobytes, 5 MB for what is built in: for rare questions that nothing cheaper answers."""
    for name in (module, "vmlinux"):
        try:
            with open(f"/sys/kernel/btf/{name}", "rb") as file:
                return b"\0" + function.encode() + b"\0" in file.read()
        except FileNotFoundError:
            if os.access(f"/sys/module/{module}/initstate", os.F_OK):  # a loadable module, and no description of it
                return None
        except OSError:
            return None
    return None


def users(module: str) -> int | None:
    """How many hold a loadable module (kernel/module/main.c: show_refcnt); 0 where it is not loaded; None where it is built in, or
    nothing says."""
    try:
        with open(f"/sys/module/{module}/refcnt", "rb") as file:
            return int(file.read())
    except FileNotFoundError:
        return None if kernel_has(module) else 0
    except OSError:
        return None


def forget() -> None:
    """A long-running view looks again: ``nft`` may have loaded nf_tables meanwhile."""
    _known.clear()


def _find(module: str) -> bool:
    if os.access(f"/sys/module/{module}", os.F_OK):
        return True
    if not os.access("/proc/modules", os.F_OK):  # CONFIG_MODULES=n: all there is is built in, and nothing can be loaded
        return True
    folder = f"/lib/modules/{os.uname().release}"
    built_in = _mentions(f"{folder}/modules.builtin", module)
    if built_in is not None:
        return built_in
    # No module tree here (a container, a minimal image): the symbol table knows, slowly.
    symbols = _mentions("/proc/kallsyms", f"{_SYMBOLS.get(module, module)}_")
    return bool(symbols)


# A function prefix that only the module itself defines.
_SYMBOLS = {"nf_tables": "nf_tables", "nf_conntrack_netlink": "ctnetlink", "nfnetlink_hook": "nfnl_hook",
            "ip_set": "ip_set", "ebtables": "ebt", "xt_pkttype": "pkttype"}


def _mentions(path: str, name: str) -> bool | None:
    """Whether a list names a module (or a symbol starting with ``name``); None when it cannot be read."""
    symbols = path.endswith("kallsyms")
    wanted = (b" " if symbols else b"/") + name.encode()
    try:
        with open(path, "rb", buffering=1 << 20) as file:
            if symbols:
                return any(wanted in line for line in file)
            return any(wanted + b".ko" in line.replace(b"-", b"_") for line in file)
    except OSError:
        return None
