"""For every test: who may not run says why, and under ``CI=true`` a test that did not run fails the run."""

from __future__ import annotations

import os
from typing import Any

import pytest

_skipped: list[str] = []
_second_tries: list[str] = []

LIVE = {"causes", "cli", "collect", "conntrack", "contract", "discovery", "kernel", "netfilter", "stories", "walk"}
AGAIN = 2
"""A test on a live kernel is judged by its last of three tries: multicast reports, neighbour timers and softirq work of other
namespaces run in the same moment and are counted in the same places. What the walk gets wrong it gets wrong each time. The
summary names every test that needed it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if LIVE.intersection(item.path.parts):
            item.add_marker(pytest.mark.flaky(reruns=AGAIN, reruns_delay=1))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") is not None and os.geteuid() != 0:
        pytest.skip("needs root to make network namespaces")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)
    if report.outcome == "rerun":
        crash = getattr(report.longrepr, "reprcrash", None)
        _second_tries.append(f"{report.nodeid}: {crash.message if crash is not None else report.longrepr}"[:1000])


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _skipped.append(report.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist reports to its controller, which decides."""
    if os.environ.get("CI") == "true" and _skipped and not hasattr(session.config, "workerinput") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in _second_tries:
        terminalreporter.write_line(f"tried again: {line}", yellow=True)
    if os.environ.get("CI") == "true" and _skipped:
        terminalreporter.write_line(f"CI=true: {len(_skipped)} skipped, which fails the run (see the reasons above)", red=True)
