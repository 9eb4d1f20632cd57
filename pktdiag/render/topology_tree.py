"""The host as a tree for a terminal: one paragraph a namespace, ports below their bridge, trouble where it stands."""

from __future__ import annotations

from pktdiag.model.host import Process
from pktdiag.model.record import NamedTuple
from pktdiag.model.topology import BROKEN, End, Topology, TopologyLink, TopologyNamespace
from pktdiag.render import safe
from pktdiag.render.look import Look


class _Glyphs(NamedTuple):
    branch: str
    last: str
    guide: str
    peer: str
    broken: str
    odd: str
    show: str


_UNICODE = _Glyphs("├─ ", "└─ ", "│  ", "⇄", "✗", "!", "→")
_ASCII = _Glyphs("|- ", "`- ", "|  ", "<->", "X", "!", "->")
_NAME_COLUMNS = 30


class _Row(NamedTuple):
    lead: str
    """Branch glyphs before the name."""
    guide: str
    """What stands in the same place on the following lines."""
    link: TopologyLink


def tree(topology: Topology, look: Look) -> str:
    """The whole picture, ending in a newline."""
    glyphs = _UNICODE if look.unicode else _ASCII
    names = {namespace.id: _title(namespace) for namespace in topology.namespaces}
    blocks = ["\n".join(_namespace(namespace, names, look, glyphs)) for namespace in topology.namespaces]
    links = sum(len(namespace.links) for namespace in topology.namespaces)
    count = topology.problems
    summary = f"{_many(len(topology.namespaces), 'namespace')}, {_many(links, 'interface')}, "
    summary += look.paint(f"{_many(count, 'problem')} (marked {glyphs.broken} or {glyphs.odd})", "bold", "red") if count \
        else "nothing looks broken"
    tail = [summary]
    for line in _gaps(topology, names):
        tail += look.wrap(f"not read: {line}", 2, first=0, style="yellow")
    return "\n\n".join([*blocks, "\n".join(tail)]) + "\n"


def _gaps(topology: Topology, names: dict[str, str]) -> list[str]:
    """One line for the same gap of many namespaces."""
    places: dict[tuple[str, str, str], list[str]] = {}
    for gap in topology.gaps:
        where = places.setdefault((gap.what, gap.why, gap.remedy), [])
        if gap.netns:
            where.append(names.get(gap.netns, safe.text(gap.netns)))
    lines = []
    for (what, why, remedy), where in places.items():
        some = ", ".join(where[:3]) + (f" and {len(where) - 3} more" if len(where) > 3 else "")
        lines.append(f"{safe.text(what)}{f' of {some}' if where else ''}: {safe.text(why)}; {safe.text(remedy)}")
    return lines


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _title(namespace: TopologyNamespace) -> str:
    """One harmless name."""
    return safe.clip(namespace.names[0], 40) if namespace.names else namespace.id


def _by_engine(name: str) -> bool:
    """``netns-UUID`` and ``cni-UUID``: names that engines make and nobody types."""
    return name.startswith(("netns-", "cni-")) and name.count("-") == 5


def _namespace(namespace: TopologyNamespace, names: dict[str, str], look: Look, glyphs: _Glyphs) -> list[str]:
    title = look.paint(names[namespace.id], "bold", "cyan")
    more = ["container"] if namespace.container else []
    more += [safe.text(name) for name in namespace.names[1:] if not (namespace.container and _by_engine(name))]
    if namespace.names:
        more.append(namespace.id)
    rest = "  ".join(more)
    lines = [title + (look.paint("  " + rest, "dim") if rest else "")]
    rows = _rows(namespace.links, glyphs)
    guide = glyphs.guide if rows else "   "
    inhabitants = _inhabitants(namespace.processes, look.width - 3)
    if inhabitants:
        lines.append(look.paint(guide + inhabitants, "dim"))
    if namespace.unreadable:
        lines.append(look.paint(f"{guide}{glyphs.odd} not read: {safe.text(namespace.unreadable)}", "yellow"))
    names_width = min(_NAME_COLUMNS, max((safe.width(row.lead + safe.text(row.link.name)) for row in rows), default=0))
    state_width = max((len(_state(row.link)) for row in rows), default=0)
    for row in rows:
        lines += _link_lines(row, names, names_width, state_width, look, glyphs)
    return lines


def _inhabitants(processes: tuple[Process, ...], room: int) -> str:
    """``dockerd 3701, docker-proxy x6, +12 more``: as many as fit one line."""
    groups: dict[str, list[int]] = {}
    for process in processes:
        groups.setdefault(process.name, []).append(process.pid)
    words = [f"{safe.clip(name, 24)} {pids[0]}" if len(pids) == 1 else f"{safe.clip(name, 24)} x{len(pids)}"
             for name, pids in groups.items()]
    line = ""
    for index, word in enumerate(words):
        longer = f"{line}, {word}" if line else word
        left = len(words) - index - 1
        if safe.width(longer) + (len(f", +{left} more") if left else 0) > room and line:
            return f"{line}, +{left + 1} more"
        line = longer
    return line


def _rows(links: tuple[TopologyLink, ...], glyphs: _Glyphs) -> list[_Row]:
    """Ports below their master, stacked devices below their lower one, everything else at the top, by ifindex."""
    by_name = {link.name: link for link in links}
    by_index = {link.ifindex: link for link in links}
    children: dict[int | None, list[TopologyLink]] = {}
    for link in links:
        above: TopologyLink | None = None
        if link.master is not None:
            above = by_name.get(link.master)
        elif link.parent is not None and (lower := by_index.get(link.parent.ifindex)) is not None:
            above = lower if lower.name == link.parent.name and lower is not link else None
        children.setdefault(above.ifindex if above else None, []).append(link)
    rows: list[_Row] = []

    def place(parent: int | None, prefix: str, above: frozenset[int]) -> None:
        level = [link for link in children.get(parent, []) if link.ifindex not in above]
        for index, link in enumerate(level):
            final = index == len(level) - 1
            below = prefix + ("   " if final else glyphs.guide)
            rows.append(_Row(prefix + (glyphs.last if final else glyphs.branch), below, link))
            place(link.ifindex, below, above | {link.ifindex})

    place(None, "", frozenset())
    # A name may be given to a parent elsewhere that is also called so: nothing may get lost over it.
    shown = {row.link.ifindex for row in rows}
    rows += [_Row(glyphs.last, "   ", link) for link in links if link.ifindex not in shown]
    return rows


def _state(link: TopologyLink) -> str:
    return {"up": "up", "down": "DOWN", "no carrier": "NO-CARRIER"}[link.state]


def _link_lines(row: _Row, names: dict[str, str], names_width: int, state_width: int, look: Look, glyphs: _Glyphs) -> list[str]:
    link = row.link
    name = safe.text(link.name)
    pad = " " * max(0, names_width - safe.width(row.lead + name))
    state = _state(link)
    style = "green" if state == "up" else "red" if link.problems else "dim"
    head = f"{look.paint(row.lead, 'dim')}{name}{pad}  {look.paint(state, style)}{' ' * (state_width - len(state))}  "
    mtu = f"mtu {link.mtu:<6}"
    column = max(names_width, safe.width(row.lead + name)) + state_width + 4 + len(mtu)
    items = _items(link, names, glyphs)
    texts = _fill(items, max(20, look.width - column))
    has_below = link.problems or len(texts) > 1
    gap = look.paint(row.guide, "dim") + " " * (column - safe.width(row.guide)) if has_below else ""
    lines = [(head + look.paint(mtu, "dim") + (texts[0] if texts else "")).rstrip()]
    lines += [gap + text for text in texts[1:]]
    for problem in link.problems:
        mark, color = (glyphs.broken, "red") if problem.severity == BROKEN else (glyphs.odd, "yellow")
        indent = safe.width(row.guide) + 4
        wrapped = look.wrap(f"{mark} {safe.text(problem.text)}", indent, style=color)
        if problem.show:
            wrapped += look.wrap(f"  {glyphs.show} {safe.text(problem.show)}", indent + 2, style="dim")
        lines += [look.paint(row.guide, "dim") + line[safe.width(row.guide):] for line in wrapped]
    return lines


def _items(link: TopologyLink, names: dict[str, str], glyphs: _Glyphs) -> list[str]:
    items = []
    if link.kind and link.kind not in ("veth", "loopback"):
        items.append(safe.text(link.kind))
    items += [safe.text(address) for address in link.addresses if not address.startswith("fe80:")]
    if link.peer is not None:
        items.append(f"{glyphs.peer} {_end(link.peer, names)}")
    elif link.kind == "veth":
        items.append(f"{glyphs.peer} ?")
    if link.parent is not None:
        items.append(f"on {_end(link.parent, names)}")
    items += [safe.text(detail) for detail in link.details]
    if link.alias:
        items.append(f'"{safe.clip(link.alias, 40)}"')
    return items


def _end(end: End, names: dict[str, str]) -> str:
    return f"{names.get(end.netns, end.netns)}:{safe.text(end.name)}"


def _fill(items: list[str], room: int) -> list[str]:
    """Items on as few lines as they need, two blanks between them."""
    lines: list[str] = []
    for item in items:
        if lines and safe.width(lines[-1]) + 2 + safe.width(item) <= room:
            lines[-1] += "  " + item
        else:
            lines.append(item)
    return lines
