"""The picture of a host in the form that was asked for."""

from __future__ import annotations

from pktdiag.model.topology import Topology

FORMATS = ("tree", "dot", "mermaid", "json")


def render(topology: Topology, fmt: str = "tree", width: int = 80, color: bool = False, unicode: bool = True) -> str:
    """The whole text, ending in a newline. ``width``, ``color`` and ``unicode`` concern the tree only. ValueError for an
    unknown format."""
    if fmt == "tree":
        from pktdiag.render.look import Look
        from pktdiag.render.topology_tree import tree

        return tree(topology, Look(width, color, unicode))
    if fmt == "json":
        from pktdiag.render import safe
        from pktdiag.render.topology_json import document

        return safe.json(document(topology)) + "\n"
    if fmt == "dot":
        from pktdiag.render.topology_dot import dot

        return dot(topology)
    if fmt == "mermaid":
        from pktdiag.render.topology_mermaid import mermaid

        return mermaid(topology)
    raise ValueError(f"{fmt!r} is not one of {', '.join(FORMATS)}")
