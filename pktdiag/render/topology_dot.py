"""The host for graphviz: a cluster a namespace, a node an interface. Identifiers are our own; names are labels only."""

from __future__ import annotations

from pktdiag.model.topology import BROKEN, End, Topology, TopologyLink
from pktdiag.render import safe


def dot(topology: Topology) -> str:
    """``pktdiag topology --format dot | dot -Tsvg``"""
    number = {namespace.id: index for index, namespace in enumerate(topology.namespaces)}
    known = {(namespace.id, link.ifindex) for namespace in topology.namespaces for link in namespace.links}

    def node(netns: str, ifindex: int) -> str:
        return f"n{number[netns]}_{ifindex}"

    def there(end: End | None) -> bool:
        return end is not None and (end.netns, end.ifindex) in known

    lines = ["graph pktdiag {", "  graph [rankdir=LR, fontname=sans];",
             "  node [shape=box, style=filled, fillcolor=white, fontname=sans];", "  edge [fontname=sans];"]
    edges = []
    for namespace in topology.namespaces:
        title = ", ".join(namespace.names) or namespace.id
        lines += [f"  subgraph cluster_{number[namespace.id]} {{", f"    label={safe.dot(title)};"]
        indexes = {link.name: link.ifindex for link in namespace.links}
        for link in namespace.links:
            here = node(namespace.id, link.ifindex)
            lines.append(f"    {here} [label={_label(link)}, fillcolor={_fill(link)}];")
            if link.peer is not None and there(link.peer):
                if (number[link.peer.netns], link.peer.ifindex) > (number[namespace.id], link.ifindex):
                    edges.append(f"  {here} -- {node(link.peer.netns, link.peer.ifindex)} [penwidth=2];")
            if link.master in indexes:
                edges.append(f"  {here} -- {node(namespace.id, indexes[link.master])};")
            if link.parent is not None and there(link.parent):
                edges.append(f"  {here} -- {node(link.parent.netns, link.parent.ifindex)} [style=dashed];")
        lines.append("  }")
    return "\n".join([*lines, *edges, "}"]) + "\n"


def _label(link: TopologyLink) -> str:
    rows = [link.name, f"{link.kind or 'device'}, {link.state}, mtu {link.mtu}", *link.addresses, *link.details]
    rows += [f"! {problem.text}" for problem in link.problems]
    # \n is graphviz's own line break, so it goes between the rows after each was made harmless.
    return '"' + "\\n".join(safe.dot(row)[1:-1] for row in rows) + '"'


def _fill(link: TopologyLink) -> str:
    if any(problem.severity == BROKEN for problem in link.problems):
        return "mistyrose"
    if link.problems:
        return "lightyellow"
    return "white" if link.up else "gray90"
