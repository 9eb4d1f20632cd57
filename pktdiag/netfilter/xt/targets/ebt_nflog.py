"""ebtables nflog: a copy to a program listening on a log group. net/bridge/netfilter/ebt_nflog.c: ebt_nflog_tg."""

from __future__ import annotations

from pktdiag.netfilter.xt.targets.nflog import NfLog, decode, evaluate

__all__ = ["decode", "evaluate", "render"]


def render(info: NfLog, family: int) -> str:
    parts = [f'--nflog-prefix "{info.prefix}"'] if info.prefix else []
    if info.group:
        parts.append(f"--nflog-group {info.group}")
    if info.length:
        parts.append(f"--nflog-range {info.length}")
    if info.threshold != 1:
        parts.append(f"--nflog-threshold {info.threshold}")
    return " ".join(parts)
