"""8: the table is full. nf_conntrack_max is the whole host's, so the live view answers this one question otherwise."""

from __future__ import annotations

import os
import shutil

import pytest

from pktdiag.collect.live import LiveHost
from pktdiag.collect.live_namespace import LiveNamespace
from pktdiag.explain.why import explain
from pktdiag.model.packet import Packet, parse_address
from pktdiag.model.question import Question
from pktdiag.walk.api import trace
from tests.stories.witness import entered

from .lab import APP, WEB, Lab

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("nft"), reason="needs nft")]


def test_the_table_is_full(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.sh("iptables-nft -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
    lab.serve(lab.app, 5000)
    monkeypatch.setattr(LiveNamespace, "conntrack_count", lambda self: (262144, 262144))
    with entered(f"/run/netns/{lab.host}"), LiveHost() as host:
        start = f"net:[{os.stat(f'/run/netns/{lab.web}').st_ino}]"
        question = Question(start, Packet(parse_address(WEB), parse_address(APP), 17, 40000, 5000))
        answer = explain(host, question, trace(host, question))
    assert answer.verdict == "depends"
    assert "262144 of 262144" in answer.summary and "delivered" in answer.summary and "dropped" in answer.summary
    assert any("connection tracking table of this host is full" in fact for fact in answer.evidence)
    assert any("nf_conntrack_max=524288" in command for fix in answer.fixes for command in fix.commands)
