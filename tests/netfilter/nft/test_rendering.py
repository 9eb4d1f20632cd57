"""Native rules of every family and statement, read as ``nft list ruleset`` prints them."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pytest

from pktdiag.netfilter.nft.load import ruleset

from .conftest import FAMILIES, Lab

pytestmark = pytest.mark.root


def commands() -> tuple[list[str], list[str]]:
    """The corpus as commands: what has to be there first, and one ``add rule`` for each line of a chain."""
    setup, late, rules = [], [], []
    family = table = chain = ""
    for line in (Path(__file__).parent / "rules.nft").read_text().splitlines():
        text = line.strip()
        if found := re.match(r"table (\S+) (\S+)", text):
            family, table = found.groups()
            setup.append(f"add table {family} {table}")
        elif not chain and (found := re.match(r"(set|map|counter|quota|limit|ct \w+|synproxy) (\S+) (\{.*)", text)):
            where = late if "jump" in text else setup
            where.append(f"add {found[1]} {family} {table} {found[2]} {found[3]}")
        elif found := re.match(r"chain (\S+) \{(.*)", text):
            chain, rest = found[1], found[2].strip()
            setup.append(f"add chain {family} {table} {chain}" + (f" {{ {rest} }}" if rest.startswith("type") else ""))
            if rest.endswith("}"):
                rules.append(f"add rule {family} {table} {chain} {rest[:-1].rstrip('; ')}")
                chain = ""
        elif text == "}":
            chain, table = "", "" if not chain else table
        elif text:
            rules.append(f"add rule {family} {table} {chain} {text}")
    return setup + late, rules


def listed(text: str) -> dict[tuple[str, str, str], list[str]]:
    """``nft list ruleset`` by chain."""
    found: dict[tuple[str, str, str], list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if match := re.match(r"table (\S+) (\S+) \{", line):
            family, table = match.groups()
        elif match := re.match(r"\tchain (\S+) \{", line):
            current = found.setdefault((family, table, match[1]), [])
        elif line == "\t}":
            current = []
        elif line.startswith("\t\t") and not line.startswith("\t\ttype "):
            current.append(line.strip())
    return found


def load(lab: Lab, rules: list[str]) -> list[str]:
    """Loads as many as possible in one go, leaving out the lines nft or the kernel complains about. Returns these."""
    left, refused = list(rules), []
    while complaint := lab.nft("\n".join(left) + "\n"):
        first = re.search(r"^/dev/stdin:(\d+):", complaint, re.M)
        assert first, complaint
        refused.append(left.pop(int(first[1]) - 1))
    return refused


def test_native_rules_read_as_nft_lists_them(lab: Lab) -> None:
    setup, rules = commands()
    for command in setup:
        assert not lab.nft(command), command
    refused = []
    for _, chain in groupby(rules, lambda command: command.split()[2:5]):
        refused += load(lab, list(chain))
    view = lab.view()
    equal, different = 0, []
    for (family, table, chain), wanted in listed(lab.run("nft", "list", "ruleset")).items():
        ours = [rule.ref(view).text for rule in ruleset(view).rules(FAMILIES[family], table, chain)]
        assert len(ours) == len(wanted), (family, table, chain)
        equal += sum(theirs == mine for theirs, mine in zip(wanted, ours))
        different += [f"{theirs}\n{mine}" for theirs, mine in zip(wanted, ours) if theirs != mine]
    print(f"nft: {equal} equal, {len(different)} different, {len(refused)} refused by this kernel or nft")
    assert len(different) <= 0.01 * equal, "\n".join(different)
    assert equal > 0.8 * len(rules), "\n".join(refused)
