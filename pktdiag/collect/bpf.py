"""BPF programs attached where neither rtnetlink nor tc shows them: tcx and netkit (kernel/bpf/tcx.c: tcx_prog_query,
drivers/net/netkit.c: netkit_prog_query), since Linux 6.6 and 6.7."""

from __future__ import annotations

import errno
from struct import Struct

from pktdiag.collect.libc import bpf_prog_query

# enum bpf_attach_type
BPF_TCX_INGRESS, BPF_TCX_EGRESS, BPF_NETKIT_PRIMARY, BPF_NETKIT_PEER = 46, 47, 54, 55
# union bpf_attr, query: ifindex, attach_type, query_flags, attach_flags, prog_ids, count, -, then four more u64
_QUERY = Struct("=IIIIQI4x32x")
_MOST = 64  # BPF_MPROG_MAX


def read_attached(ifindex: int, netkit: bool) -> tuple[str, ...]:
    """A phrase per program on one interface of the namespace the thread stands in (tcx_prog_query looks at
    current->nsproxy). Empty where the kernel knows no tcx. OSError EPERM without CAP_NET_ADMIN."""
    places = [(BPF_TCX_INGRESS, "tcx ingress"), (BPF_TCX_EGRESS, "tcx egress")]
    if netkit:
        places += [(BPF_NETKIT_PRIMARY, "netkit primary"), (BPF_NETKIT_PEER, "netkit peer")]
    return tuple(f"{where} program id {number}" for kind, where in places for number in _query(ifindex, kind))


_ids = bytearray(4 * _MOST)
_address: list[tuple[int, object]] = []
"""Where the kernel writes what it finds: one place for all questions."""


def _query(ifindex: int, kind: int) -> tuple[int, ...]:
    if not _address:
        from pktdiag.collect.libc import address_of

        _address.append(address_of(_ids))
    attr = bytearray(_QUERY.pack(ifindex, kind, 0, 0, _address[0][0], _MOST))
    try:
        bpf_prog_query(attr)
    except OSError as error:
        # ENOENT: nothing there. EINVAL: no such attach type in this kernel. ENOSYS: no bpf(2) at all. ENODEV, EACCES and
        # ENXIO: netkit programs are asked for on its primary device only.
        if error.errno in (errno.ENOENT, errno.EINVAL, errno.ENOSYS, errno.ENODEV, errno.ENXIO, errno.EACCES, errno.EOPNOTSUPP):
            return ()
        raise
    count = _QUERY.unpack(attr)[5]
    return tuple(Struct(f"={min(count, _MOST)}I").unpack_from(_ids))
