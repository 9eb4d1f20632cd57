"""Real pktdiag processes on a small host: exit status, text, JSON, errors."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from pktdiag.cli.options import COMMANDS

from .conftest import ROOT, Lab, pktdiag

pytestmark = pytest.mark.root


def test_through_lost_and_depends_have_their_exit_status(lab: Lab) -> None:
    assert lab.ask("trace", "198.51.100.2", "172.30.0.2:80").returncode == 0
    assert lab.ask("trace", "198.51.100.2", "198.51.100.1:8000/udp").returncode == 1
    assert lab.ask("trace", "198.51.100.2", "nobody:80").returncode == 2


def test_why_dropped_starts_with_the_answer(lab: Lab) -> None:
    done = lab.ask("why-dropped", "198.51.100.2", "198.51.100.1:8000/udp")
    assert done.returncode == 1
    assert done.stdout.startswith("REJECTED")
    for said in ("NO_SOCKET", "UdpNoPorts", "icmp port-unreachable", "--to-destination 172.30.0.2:8000", "tcpdump -n -i eth0"):
        assert said in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("columns", [80, 120])
def test_text_keeps_to_the_width(lab: Lab, columns: int) -> None:
    for words in (("trace", "198.51.100.2", "172.30.0.2:80"), ("why-dropped", "198.51.100.2", "198.51.100.1:8000/udp"), ("counters", "--all")):
        for line in lab.ask(*words, COLUMNS=str(columns)).stdout.splitlines():
            assert len(line) <= columns or line.lstrip().startswith("$ "), line


def test_json_keeps_the_contract(lab: Lab) -> None:
    found = lab.json("why-dropped", "198.51.100.2:40000", "198.51.100.1:8000/udp")
    assert (found["schema"], found["verdict"]) == ("pktdiag.trace/1", "rejected")
    assert {"summary", "request", "reply", "fixes"} <= found.keys()
    leg = found["request"]
    assert {"verdict", "packet", "receiver", "drop", "sightings", "steps", "outcomes"} <= leg.keys()
    assert {"src", "dst", "sport", "dport", "proto", "mark", "ttl"} <= leg["packet"].keys()
    assert {"reason", "stage", "netns", "device", "rule", "counters", "text"} <= leg["drop"].keys()
    assert leg["drop"]["counters"][0] == "UdpNoPorts"
    assert re.fullmatch(r"net:\[\d+\]", leg["drop"]["netns"])
    assert [(s["device"], s["direction"]) for s in leg["sightings"]] == [("eth0", "out"), ("eth0", "in")]
    assert {"netns", "device", "direction", "src", "dst", "sport", "dport", "proto"} <= leg["sightings"][0].keys()
    assert all({"netns", "stage", "device", "text"} <= step.keys() for step in leg["steps"])
    fix = found["fixes"][0]
    assert fix["verified"] is True and fix["why"] and fix["commands"]
    assert found["reply"]["verdict"] == "delivered"


def test_the_receiver_is_named(lab: Lab) -> None:
    found = lab.json("trace", "172.30.0.2:80")
    assert lab.server is not None
    receiver = found["request"]["receiver"]
    assert (found["verdict"], receiver["pid"], receiver["socket"]) == ("delivered", lab.server.pid, "tcp 0.0.0.0:80")
    assert {"netns", "pid", "process", "container", "socket"} <= receiver.keys()


def test_names_mean_the_address_that_the_sender_can_reach(lab: Lab) -> None:
    found = lab.json("trace", f"ns:{lab.web}", "host/icmp")
    assert found["request"]["packet"]["dst"] == "172.30.0.1"
    found = lab.json("trace", f"ns:{lab.out}", "host:22")
    assert found["request"]["packet"]["dst"] == "198.51.100.1"
    found = lab.json("trace", f"ns:{lab.web}:8000/udp")
    assert found["request"]["packet"]["dst"] == "172.30.0.2"


def test_a_sender_outside_arrives_where_the_way_back_leads(lab: Lab) -> None:
    found = lab.json("trace", "198.51.100.77", "172.30.0.2:80")
    first = found["request"]["sightings"][0]
    assert (first["device"], first["direction"]) == ("eth0", "in")
    assert any("--in" in text for text in found["request"]["assumptions"])
    done = lab.ask("trace", "203.0.113.7", "172.30.0.2:80")
    assert done.returncode == 2
    assert done.stderr.startswith("pktdiag: no-way-in: ")
    assert lab.json("trace", "203.0.113.7", "172.30.0.2:80", "--in", "eth0")["request"]["sightings"][0]["device"] == "eth0"


def test_a_pasted_log_line_is_the_packet(lab: Lab) -> None:
    line = ("IN=eth0 OUT= MAC=02:00:00:00:00:01:02:00:00:00:00:02:08:00 SRC=198.51.100.77 DST=198.51.100.1 LEN=60 TOS=0x00 PREC=0x00 TTL=63 "
            "ID=1 DF PROTO=TCP SPT=40000 DPT=443 WINDOW=64240 RES=0x00 SYN URGP=0")
    found = lab.json("trace", "--from-log", line)
    packet = found["question"]["packet"]
    assert (packet["src"], packet["sport"], packet["dport"], packet["ttl"], packet["length"]) == ("198.51.100.77", 40000, 443, 63, 60)
    assert found["verdict"] == "rejected"
    assert lab.json("trace", "--from-log", "-", stdin=line + "\n") == found


@pytest.mark.parametrize(("words", "code", "says"), [
    (("trace", "nobody:80"), "unknown-container", "nobody"), (("trace", "ns:nobody:80"), "unknown-namespace", "nobody"),
    (("trace", "pid:999999999:80"), "no-such-process", "999999999"), (("trace", "10.0.0.300"), "malformed-address", "10.0.0.300"),
    (("trace", "10.0.0.1:x"), "malformed-port", "x"), (("trace",), "usage", "no destination"), (("trace", "a", "b", "c"), "usage", "3 addresses"),
    (("trace", "10.0.0.1", "::1"), "family-mismatch", "IPv6"), (("trace", "10.0.0.1/udp"), "no-port", "udp"),
    (("trace", "10.0.0.1:1/icmp"), "no-port", "icmp"), (("trace", "10.0.0.1", "--in", "eth0"), "usage", "--in"),
    (("trace", "192.0.2.1", "10.0.0.1", "--in", "eht0"), "unknown-interface", "did you mean eth0"), (("trace", "--bogus"), "usage", "--bogus"),
    (("bogus",), "usage", "bogus"), (("trace", "10.0.0.1", "--ttl", "300"), "malformed-number", "300"), (("topology", "--format", "svg"), "unknown-format", "svg"),
    (("trace", "--from-log", "hello"), "malformed-log-line", "LOG"), (("why-dropped", "--for", "never"), "malformed-duration", "never"),
    (("completion", "tcsh"), "unknown-shell", "tcsh"),
])
def test_a_mistake_is_one_clear_line(lab: Lab, words: tuple[str, ...], code: str, says: str) -> None:
    done = lab.ask(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"pktdiag: {code}: "), done.stderr
    assert done.stderr.count("\n") == 1 and says in done.stderr, done.stderr


def test_near_names_are_proposed(lab: Lab) -> None:
    assert f"did you mean {lab.web}" in lab.ask("trace", f"ns:{lab.web}x:80").stderr


def test_no_route_is_an_answer_not_an_error(lab: Lab) -> None:
    done = lab.ask("trace", "203.0.113.9:80")
    assert done.returncode == 1
    assert "IpOutNoRoutes" in lab.ask("why-dropped", "203.0.113.9:80").stdout


def test_without_a_command_help_is_shown_and_nothing_is_said_to_get_through() -> None:
    done = pktdiag()
    assert done.returncode == 2 and "why-dropped" in done.stdout


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_has_help(command: str) -> None:
    done = pktdiag(command, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"Usage: pktdiag {command}")


def test_a_reader_that_goes_away_is_no_error(lab: Lab) -> None:
    done = subprocess.run(["sh", "-c", f"nsenter --net=/run/netns/{lab.host} {sys.executable} -m pktdiag trace 172.30.0.2:80 | true"], cwd=ROOT,
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""


def test_counters_of_a_namespace(lab: Lab) -> None:
    subprocess.run(["ip", "netns", "exec", lab.out, sys.executable, "-c", "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                    "s.sendto(b'x', ('198.51.100.1', 9))"], check=True)
    found = json.loads(pktdiag("counters", "--ns", lab.host, "--json").stdout)
    line = next(line for line in found["counters"] if line["name"] == "UdpNoPorts")
    assert line["severity"] == "bad" and line["value"] >= 1
    assert found["counters"][0]["severity"] == "bad"
    assert "UdpNoPorts" in lab.ask("counters").stdout


def test_watching_tells_what_moves_and_where(lab: Lab) -> None:
    """The sender starts once the watch runs, and keeps at it until the watch ends."""
    sender = subprocess.Popen(["ip", "netns", "exec", lab.out, sys.executable, "-c", "import socket, time\nwhile True:\n"
                               "    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('198.51.100.1', 9)); time.sleep(0.05)"])
    try:
        done = pktdiag("why-dropped", "--for", "1s", "--json", netns=lab.out)
    finally:
        sender.kill()
        sender.wait()
    assert done.returncode == 1
    moved = {(line["netns_name"], line["name"]) for line in json.loads(done.stdout)["counters"]}
    assert (lab.host, "UdpNoPorts") in moved


def test_completion_scripts_and_completions() -> None:
    assert "_PKTDIAG_COMPLETE" in pktdiag("completion", "bash").stdout
    done = pktdiag(_PKTDIAG_COMPLETE="complete_bash", COMP_WORDS="pktdiag why", COMP_CWORD="1")
    assert "why-dropped" in done.stdout


def test_permission_denied_is_told(lab: Lab) -> None:
    """Without rights the rules cannot be read: the answer depends, and says on what."""
    done = lab.ask("trace", "198.51.100.2", "172.30.0.2:80", prefix=("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all",
                                                                      "--no-new-privs"))
    assert done.returncode in (2, 3), done.stdout + done.stderr
    assert "permission denied" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
