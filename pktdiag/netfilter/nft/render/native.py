from __future__ import annotations

from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.nft.exprs import Expression
from pktdiag.netfilter.nft.render.parts import Part
from pktdiag.netfilter.nft.rule import Rule


def native_parts(ns: NamespaceView, rule: Rule, expressions: list[Expression]) -> list[Part]:
    return [Part(type(each).__name__.lower(), at, at) for at, each in enumerate(expressions)]
