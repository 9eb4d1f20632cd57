"""Which program most likely owns a chain: by the names its rules and chains carry.

A guess and told as one. The names are those the programs themselves hard-code.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


# program -> prefixes of chain (or table) names
_PREFIXES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("docker", ("DOCKER", "docker-bridges")),
    ("podman (netavark)", ("NETAVARK", "netavark", "nv_")),
    ("CNI plugins", ("CNI-", "cni_", "cni-")),
    ("kube-proxy / kubelet", ("KUBE-", "kube-proxy")),
    ("calico", ("cali-", "cali:", "calico")),
    ("cilium", ("CILIUM_", "OLD_CILIUM_", "cilium")),
    ("flannel", ("FLANNEL-", "flannel")),
    ("weave", ("WEAVE-",)),
    ("kube-router", ("KUBE-ROUTER-", "KUBE-POD-", "KUBE-NWPLCY-")),
    ("istio", ("ISTIO_", "istio-")),
    ("linkerd", ("PROXY_INIT_",)),
    ("ufw", ("ufw-", "ufw6-")),
    ("firewalld", ("firewalld", "filter_INPUT_POLICIES", "nat_PRE_policy", "INPUT_ZONES", "FORWARD_IN_ZONES", "FORWARD_ZONES",
                   "PREROUTING_ZONES", "POSTROUTING_ZONES", "INPUT_direct", "FORWARD_direct", "OUTPUT_direct", "PREROUTING_direct")),
    ("libvirt", ("LIBVIRT_", "libvirt_", "libvirt-")),
    ("fail2ban", ("f2b-", "fail2ban-", "addr-set-")),
    ("crowdsec", ("CROWDSEC", "crowdsec")),
    ("tailscale", ("ts-", "tailscale")),
    ("wg-quick", ("wg-quick",)),
    ("LXC / LXD / Incus", ("lxc", "lxd", "incus")),
    ("sshguard", ("sshguard",)),
    ("miniupnpd", ("MINIUPNPD", "upnp")),
    ("shorewall", ("shorewall", "net2fw", "loc2fw", "net-fw", "fw-net")),
    ("csf", ("LOCALINPUT", "LOCALOUTPUT", "DENYIN", "ALLOWIN")),
    ("OpenStack neutron", ("neutron-",)),
    ("NetworkManager", ("nm-shared", "nm-sh-")),
    ("systemd-networkd", ("io.systemd.nat",)),
    ("strongSwan", ("strongswan",)),
    ("OpenWrt fw4", ("fw4", "input_wan", "forward_lan")),
)


def owner_of(name: str) -> str | None:
    """The program that uses such a chain or table name; the longest prefix wins. None: no known one."""
    best: tuple[int, str] | None = None
    for program, prefixes in _PREFIXES:
        for prefix in prefixes:
            if name.startswith(prefix) and (best is None or len(prefix) > best[0]):
                best = len(prefix), program
    return best[1] if best else None


def owners_of(names: Iterable[str]) -> tuple[str, ...]:
    """The programs behind several names, each once, in order of appearance."""
    found: dict[str, None] = {}
    for name in names:
        program = owner_of(name)
        if program is not None:
            found[program] = None
    return tuple(found)
