"""``pktdiag hooks`` as text and as JSON."""

from __future__ import annotations

from pktdiag.explain.hooks import Hook, HookEntry, HooksReport
from pktdiag.render import json_text, safe
from pktdiag.render.look import Look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TITLES = {"netdev": "device", "bridge": "bridge", "arp": "ARP", "ip": "IPv4", "ip6": "IPv6"}


def render_text(report: HooksReport, width: int = 80, color: bool = False, unicode: bool = True) -> str:
    """One block per hook, entries in the order in which the kernel runs them."""
    look = Look(width, color, unicode)
    name = ", ".join(safe.text(item) for item in report.names)
    lines = [look.paint(f"Netfilter hooks of {report.netns}" + (f" ({name})" if name else ""), "bold")]
    for warning in report.warnings:
        lines.extend(look.wrap(f"! {safe.text(warning)}", 2, 0, style="yellow"))
    if not report.hooks and not report.gaps:
        lines.append("Nothing is registered: every packet passes.")
    column = max((len(_priority(entry)) for hook in report.hooks for entry in hook.entries), default=0) + 4
    for hook in report.hooks:
        lines.append("")
        lines.extend(_hook(hook, look, column))
    if report.gaps:
        lines.append("")
        for gap in report.gaps:
            lines.extend(look.wrap(f"? {safe.text(gap)}", 2, 0, style="dim"))
    return "\n".join(lines) + "\n"


def _hook(hook: Hook, look: Look, column: int) -> list[str]:
    where = f" on {safe.text(hook.device)}" if hook.device else ""
    lines = [look.paint(f"{_TITLES[hook.family]} {hook.hook}{where}", "bold", "cyan")]
    for entry in hook.entries:
        lines.extend(_entry(entry, look, 2, column))
        for item in entry.inside:
            lines.extend(_entry(item, look, 6, column + 4))
    return lines


def _priority(entry: HookEntry) -> str:
    if entry.priority_name in ("first", "last"):
        return entry.priority_name
    number = str(entry.priority)
    return number if entry.priority_name == number else f"{number} {entry.priority_name}"


def _entry(entry: HookEntry, look: Look, indent: int, column: int) -> list[str]:
    words = [safe.text(entry.label)]
    if entry.kind == "nat" and not entry.inside:
        words.append("(for replies and connections bound elsewhere)")
    facts = []
    if entry.rules is not None:
        facts.append(f"{entry.rules} rule{'' if entry.rules == 1 else 's'}")
    if entry.policy:
        facts.append(f"policy {entry.policy}" + (f" ({entry.packets} packets)" if entry.packets is not None else ""))
    if facts:
        words.append(f"[{', '.join(facts)}]")
    if entry.owners:
        words.append("- " + ", ".join(entry.owners))
    if entry.order_unknown:
        words.append("(order to the one above not known)")
    style = "red" if entry.policy == "drop" else "dim" if entry.kind not in ("nft", "legacy", "unknown") else ""
    lines = look.wrap(" ".join(words), column, style=style)
    head = " " * indent + look.paint(_priority(entry), "dim")
    lines[0] = head + " " * max(1, column - indent - len(_priority(entry))) + lines[0][column:]
    return lines


def render_json(report: HooksReport) -> str:
    """``pktdiag.hooks/1``"""
    return json_text.dumps({
        "schema": "pktdiag.hooks/1",
        "netns": report.netns,
        "names": list(report.names),
        "hooks": [{"family": hook.family, "hook": hook.hook, "device": hook.device or None,
                   "entries": [_json(entry) for entry in hook.entries]} for hook in report.hooks],
        "warnings": list(report.warnings),
        "gaps": list(report.gaps),
    }) + "\n"


def _json(entry: HookEntry) -> dict[str, Any]:
    made: dict[str, Any] = {key: value for key, value in entry._asdict().items() if key != "inside"}
    made["owners"] = list(entry.owners)
    if entry.inside:
        made["inside"] = [_json(item) for item in entry.inside]
    return made
