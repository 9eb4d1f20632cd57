"""Which legacy ebtables tables a namespace has, without making one.

There is no list of them in /proc, and asking for a table by name makes it (net/bridge/netfilter/ebtables.c:
find_table_lock runs a template's table_init, since Linux 5.15). What tells:

- nfnetlink_hook, where the kernel has it, names the hook functions a table registers;
- without any ebtable_* module (or, in a kernel without modules, without ebtables) there is none;
- no table anywhere: a table's memory shows in /proc/vmallocinfo under the function that
  allocated it (ebt_register_table, do_replace_finish), whatever its namespace.

When neither settles it, it stays unknown.
"""

from __future__ import annotations

import errno
import os

from pktdiag.model.kernel import (
    NF_BR_BROUTING,
    NF_BR_FORWARD,
    NF_BR_LOCAL_IN,
    NF_BR_LOCAL_OUT,
    NF_BR_POST_ROUTING,
    NF_BR_PRE_ROUTING,
    NFPROTO_BRIDGE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Hooks = Callable[[int, int, "str | None"], "Sequence[tuple[int, str, str]] | None"]

TABLES = ("filter", "nat", "broute")

# ebtable_filter.c, ebtable_nat.c: priorities NF_BR_PRI_FILTER_BRIDGED -200, FILTER_OTHER 200, NAT_DST_BRIDGED -300,
# NAT_DST_OTHER 100, NAT_SRC 300; ebtable_broute.c hooks BROUTING (PRE_ROUTING since 5.2) at NF_BR_PRI_FIRST.
_FILTER = ((NF_BR_LOCAL_IN, -200), (NF_BR_FORWARD, -200), (NF_BR_LOCAL_OUT, 200))
_NAT = ((NF_BR_LOCAL_OUT, 100), (NF_BR_POST_ROUTING, 300), (NF_BR_PRE_ROUTING, -300))


def tables_present(hooks: Hooks) -> tuple[str, ...]:
    """Names of the tables there are. OSError when that cannot be known without making one."""
    if not _any_table_on_this_host():
        return ()
    named = _from_hooks(hooks)
    if named is not None:
        return named
    if not _made_on_demand():
        return tuple(name for name in TABLES if os.access(f"/sys/module/ebtable_{name}", os.F_OK))
    from pktdiag.collect.gaps import NotToldError

    raise NotToldError("some namespace has one, and the kernel does not say which without nfnetlink_hook",
                       "a kernel with nfnetlink_hook (modprobe it where it is a module), or --assume-empty")


def _made_on_demand() -> bool:
    """Before 5.15 a loaded table module had its table in every namespace: no template to find by name."""
    try:
        with open("/proc/kallsyms", "rb", buffering=1 << 20) as file:
            symbols = file.read()
    except OSError:
        return True
    return b" ebt_register_template" in symbols or b" ebt_register_table" not in symbols


def _from_hooks(hooks: Hooks) -> tuple[str, ...] | None:
    found = []
    for table, places in (("filter", _FILTER), ("nat", _NAT)):
        for hook, priority in places:
            registered = hooks(NFPROTO_BRIDGE, hook, None)
            if registered is None:
                return None
            if any(at == priority and (module == f"ebtable_{table}" or function.startswith("ebt_"))
                   for at, function, module in registered):
                found.append(table)
                break
    for hook in (NF_BR_PRE_ROUTING, NF_BR_BROUTING):
        registered = hooks(NFPROTO_BRIDGE, hook, None) or ()
        if any(module == "ebtable_broute" or function == "ebt_broute" for _, function, module in registered):
            found.append("broute")
            break
    return tuple(found)


def _any_table_on_this_host() -> bool:
    """False when it is certain that no namespace has one."""
    if os.access("/proc/modules", os.F_OK):
        # No template without its module, and a module that is loaded shows below /sys/module.
        if not any(os.access(f"/sys/module/ebtable_{name}", os.F_OK) or _built_in(f"ebtable_{name}") for name in TABLES):
            return False
    elif not _answers():
        return False
    try:
        with open("/proc/vmallocinfo", "rb") as file:
            content = file.read()
    except OSError:
        return True
    return any(sign in content for sign in _ALLOCATED_BY)


# Whichever of its callers the compiler kept apart from do_ebt_set_ctl(), or anything of the module.
_ALLOCATED_BY = (b" ebt_", b"do_replace", b"do_ebt_", b"[ebtables]")


def _built_in(module: str) -> bool:
    try:
        with open(f"/lib/modules/{os.uname().release}/modules.builtin", "rb") as file:
            return f"/{module}.ko".encode() in file.read()
    except OSError:
        return True


def _answers() -> bool:
    """Whether the kernel has ebtables' getsockopt at all (nf_getsockopt: ENOPROTOOPT). The table asked for has no name,
    so none can be made; only for a kernel without modules, where the question cannot load one either."""
    import _socket

    from pktdiag.collect.libc import getsockopt
    from pktdiag.collect.xt_raw import EBT_SO_GET_INFO, IPPROTO_IP

    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        getsockopt(sock.fileno(), IPPROTO_IP, EBT_SO_GET_INFO, bytearray(128))
    except OSError as error:
        return error.errno != errno.ENOPROTOOPT
    finally:
        sock.close()
    return True
