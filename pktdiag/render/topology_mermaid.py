"""The host for mermaid (GitHub, GitLab, wikis): a subgraph a namespace. Identifiers are our own; names are labels only."""

from __future__ import annotations

from pktdiag.model.topology import BROKEN, Topology, TopologyLink
from pktdiag.render import safe


def mermaid(topology: Topology) -> str:
    """To be pasted into a ```mermaid block."""
    number = {namespace.id: index for index, namespace in enumerate(topology.namespaces)}
    known = {(namespace.id, link.ifindex) for namespace in topology.namespaces for link in namespace.links}
    lines, edges = ["graph LR"], []
    broken: list[str] = []
    odd: list[str] = []
    for namespace in topology.namespaces:
        title = ", ".join(namespace.names) or namespace.id
        lines.append(f"  subgraph ns{number[namespace.id]} [{safe.mermaid(title)}]")
        indexes = {link.name: link.ifindex for link in namespace.links}
        for link in namespace.links:
            here = f"n{number[namespace.id]}_{link.ifindex}"
            lines.append(f"    {here}[{_label(link)}]")
            if link.problems:
                (broken if any(problem.severity == BROKEN for problem in link.problems) else odd).append(here)
            peer = link.peer
            if peer is not None and (peer.netns, peer.ifindex) in known:
                if (number[peer.netns], peer.ifindex) > (number[namespace.id], link.ifindex):
                    edges.append(f"  {here} === n{number[peer.netns]}_{peer.ifindex}")
            if link.master in indexes:
                edges.append(f"  {here} --- n{number[namespace.id]}_{indexes[link.master]}")
            parent = link.parent
            if parent is not None and (parent.netns, parent.ifindex) in known:
                edges.append(f"  {here} -.- n{number[parent.netns]}_{parent.ifindex}")
        lines.append("  end")
    for name, color, nodes in (("broken", "#fdd", broken), ("odd", "#ffd", odd)):
        if nodes:
            edges += [f"  classDef {name} fill:{color},stroke:#a00", f"  class {','.join(nodes)} {name}"]
    return "\n".join([*lines, *edges]) + "\n"


def _label(link: TopologyLink) -> str:
    rows = [link.name, f"{link.kind or 'device'}, {link.state}, mtu {link.mtu}", *link.addresses, *link.details]
    rows += [f"! {problem.text}" for problem in link.problems]
    return '"' + "<br/>".join(safe.mermaid(row)[1:-1] for row in rows) + '"'
