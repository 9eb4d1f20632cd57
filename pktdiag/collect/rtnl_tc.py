"""What traffic control has on a device: RTM_GETQDISC, RTM_GETTFILTER (net/sched/sch_api.c, cls_api.c), as text.

A filter's match and a program's code are not modelled; a filter is named well enough to find it with ``tc filter show``.
"""

from __future__ import annotations

import errno
from struct import Struct
from sys import byteorder

from pktdiag.collect.netlink import Netlink, attribute_list, attributes, text, u32

RTM_GETQDISC, RTM_GETTFILTER = 38, 46
_TCMSG = Struct("=BxxxiIII")  # struct tcmsg: family, ifindex, handle, parent, info
_GACT = Struct("=IIi")  # tc_gen: index, capab, action
_MIRRED = Struct("=IIiiiiI")  # tc_gen: index, capab, action, refcnt, bindcnt; eaction, ifindex
TCA_KIND, TCA_OPTIONS, TCA_CHAIN = 1, 2, 11
TC_H_MIN_INGRESS, TC_H_MIN_EGRESS = 0xFFFFFFF2, 0xFFFFFFF3

# Where each classifier keeps its actions: TCA_FLOWER_ACT and so on (include/uapi/linux/pkt_cls.h).
_ACTIONS_IN = {"bpf": 1, "flower": 3, "matchall": 2, "u32": 7, "basic": 3, "fw": 4, "flow": 9, "route": 6, "cgroup": 1}
_VERDICTS = {-1: "continue", 0: "pass", 1: "reclassify", 2: "drop", 3: "pipe", 4: "stolen", 5: "queued", 6: "repeat",
             7: "redirect", 8: "trap"}
_MIRRED_NAMES = {1: "redirect to egress", 2: "mirror to egress", 3: "redirect to ingress", 4: "mirror to ingress"}
_PROTOCOLS = {0x0003: "all", 0x0800: "ip", 0x0806: "arp", 0x86DD: "ipv6", 0x8100: "802.1Q", 0x88A8: "802.1ad"}


def read_filters(netlink: Netlink, ifindex: int, side: str) -> tuple[str, ...]:
    """The filters at an interface's "ingress" or "egress", in the order in which they run.

    Asked for directly: there is one dump of queueing disciplines for all interfaces (tc_dump_qdisc knows no filter), and a host of
    a thousand containers has as many. Without a clsact or ingress qdisc the kernel finds none to list (tc_dump_tfilter).
    """
    found = _filters(netlink, ifindex, TC_H_MIN_INGRESS if side == "ingress" else TC_H_MIN_EGRESS)
    # An ingress qdisc shows its filters under any class (ingress_find, ingress_tcf_block), and they run at one side only.
    return found if found and _kinds(netlink, ifindex) & {"clsact", side} else ()


def _kinds(netlink: Netlink, ifindex: int) -> set[str]:
    """Of all queueing disciplines of one interface."""
    return {text(attributes(payload, 20).get(TCA_KIND, b"")) for payload in netlink.dump(RTM_GETQDISC, _TCMSG.pack(0, 0, 0, 0, 0))
            if _TCMSG.unpack_from(payload)[1] == ifindex}


def _filters(netlink: Netlink, ifindex: int, parent: int) -> tuple[str, ...]:
    try:
        payloads = netlink.dump(RTM_GETTFILTER, _TCMSG.pack(0, ifindex, 0, parent, 0))
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP):
            return ()
        raise
    return tuple(filter(None, map(_decoded, payloads)))


def _decoded(payload: bytes) -> str:
    """One RTM_NEWTFILTER payload; "" for the head of a priority (tcf_fill_node without fh), which is no filter."""
    _family, _ifindex, handle, _parent, info = _TCMSG.unpack_from(payload)
    parts = attributes(payload, 20)
    return _filter(text(parts.get(TCA_KIND, b"")), handle, info, parts) if TCA_OPTIONS in parts else ""


def _filter(kind: str, handle: int, info: int, parts: dict[int, bytes]) -> str:
    protocol = int.from_bytes((info & 0xFFFF).to_bytes(2, byteorder), "big")
    words = [f"{kind} pref {info >> 16} handle {handle:#x}"]
    if protocol != 3:
        words.append(f"protocol {_PROTOCOLS.get(protocol, hex(protocol))}")
    if TCA_CHAIN in parts and u32(parts[TCA_CHAIN]):
        words.append(f"chain {u32(parts[TCA_CHAIN])}")
    options = attributes(parts[TCA_OPTIONS])
    if kind == "bpf":  # TCA_BPF_NAME 7, TCA_BPF_FLAGS 8, TCA_BPF_ID 11
        if 7 in options:
            words.append(text(options[7]))
        if 8 in options and u32(options[8]) & 1:
            words.append("direct-action")
        if 11 in options:
            words.append(f"id {u32(options[11])}")
    actions = options.get(_ACTIONS_IN.get(kind, 0))
    if actions is not None:
        words += [_action(action) for _, action in attribute_list(actions)]
    return " ".join(words)


def _action(data: bytes) -> str:
    """TCA_ACT_KIND 1 and, for the two kinds whose parameters are plain, TCA_ACT_OPTIONS 2 { PARMS 2 }."""
    parts = attributes(data)
    kind = text(parts.get(1, b""))
    params = attributes(parts.get(2, b"")).get(2, b"")
    if kind == "gact" and len(params) >= 12:
        return f"action {_VERDICTS.get(_GACT.unpack_from(params)[2], 'gact')}"
    if kind == "mirred" and len(params) >= 28:
        *_, what, ifindex = _MIRRED.unpack_from(params)
        return f"action {_MIRRED_NAMES.get(what, 'mirred')} of interface {ifindex}"
    return f"action {kind}"
