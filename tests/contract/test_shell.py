"""The command line as a shell meets it: pipes, full disks, Ctrl-C, no rights, other directories; the JSON of the other commands."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .lab import ROOT, Lab, pktdiag

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """a --- br0[b] with what topology shows: an MTU of its own, a link that is down, an address of each family."""
    made = Lab("s")
    try:
        made.netns("a", "b")
        made.wire("a", "v0", "b", "eth0")
        made.sh("a", "ip link add br0 type bridge; ip link set v0 master br0; ip link add gone0 type bridge; ip link set v0 mtu 1400")
        made.up("a", "br0")
        made.sh("a", "ip a add 198.51.100.1/24 dev br0; ip a add 2001:db8::1/64 dev br0 nodad")
        made.sh("b", "ip link set eth0 mtu 1400; ip a add 198.51.100.2/24 dev eth0; ip a add 2001:db8::2/64 dev eth0 nodad")
        yield made
    finally:
        made.close()


def shell(lab: Lab, script: str) -> subprocess.CompletedProcess[str]:
    """``script`` in a's namespace, with ``pktdiag`` standing for the real one."""
    script = script.replace("pktdiag", f"{sys.executable} -m pktdiag")
    return subprocess.run(["nsenter", f"--net=/run/netns/{lab.name('a')}", "bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("words", ["topology", "trace 198.51.100.2 --json", "why-dropped 198.51.100.2:9", "counters --all", "hooks", "--help", "trace --help"])
def test_a_full_disk_is_one_line(lab: Lab, words: str) -> None:
    done = shell(lab, f"pktdiag {words} > /dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("pktdiag: cannot-write: ") and done.stderr.count("\n") == 1, done.stderr


def test_closed_streams(lab: Lab) -> None:
    done = shell(lab, "pktdiag trace 198.51.100.2 >&-")
    assert (done.returncode, done.stderr) == (0, "")
    assert shell(lab, "pktdiag trace nobody:80 2>&-").returncode == 2
    done = shell(lab, "pktdiag trace --from-log - <&-")
    assert done.returncode == 2 and done.stderr.startswith("pktdiag: malformed-log-line: ")
    done = shell(lab, r"printf '\377 SRC=198.51.100.1 DST=198.51.100.2 PROTO=ICMP TYPE=8 CODE=0\n' | pktdiag trace --from-log -")
    assert (done.returncode, done.stderr) == (0, "")
    done = shell(lab, "pktdiag topology --json | head -c 1")
    assert (done.stdout, done.stderr) == ("{", "")


@pytest.mark.parametrize("words", [("why-dropped", "--for", "20s"), ("trace", "--from-log", "-")])
def test_ctrl_c_ends_it_quietly(lab: Lab, words: tuple[str, ...]) -> None:
    process = subprocess.Popen(["nsenter", f"--net=/run/netns/{lab.name('a')}", sys.executable, "-m", "pktdiag", *words], cwd=ROOT,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    asleep, deadline = 0, time.monotonic() + 10  # it waits once it has slept through a few looks in a row
    while asleep < 5 and time.monotonic() < deadline:
        time.sleep(0.03)
        asleep = asleep + 1 if Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0] == "S" else 0
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == 130


@pytest.mark.parametrize("words", ["trace --bogus --json", "trace nobody:80 --json", "snapshot -o /nonexistent", "trace --snapshot x 198.51.100.2", "--snapshot x trace",
                                   "trace 198.51.100.2/300 --json", "trace '' --json", "trace $'a\\nb\\e[31m' --json", "trace 'fe80::1%eth0'", "trace 198.51.100.2 --ttl -1",
                                   "why-dropped --for 0 --json", "counters --ns nobody --json", "hooks --ns ns:nobody --json", "topology --format svg",
                                   "trace pid:0:80", "trace 198.51.100.2:80 --mark 0x1ffffffff", "trace 198.51.100.2 --in br0"])
def test_what_cannot_be_asked_is_one_line_and_no_document(lab: Lab, words: str) -> None:
    done = shell(lab, f"pktdiag {words}")
    assert (done.returncode, done.stdout) == (2, ""), done.stdout
    assert done.stderr.startswith("pktdiag: ") and done.stderr.count("\n") == 1 and "\x1b" not in done.stderr
    assert "internal-error" not in done.stderr


def test_a_terminal_gets_colour_and_a_pipe_does_not(lab: Lab) -> None:
    command = f"nsenter --net=/run/netns/{lab.name('a')} {sys.executable} -m pktdiag trace 198.51.100.2"
    coloured = subprocess.run(["script", "-qec", command, "/dev/null"], cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert "\x1b[" in coloured.stdout
    plain = subprocess.run(["script", "-qec", f"env NO_COLOR=1 {command}", "/dev/null"], cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert "\x1b" not in plain.stdout and "DELIVERED" in plain.stdout
    assert "\x1b" not in shell(lab, "pktdiag trace 198.51.100.2").stdout


def test_from_another_directory(lab: Lab, tmp_path: Path) -> None:
    """Files there that are named like modules do not matter to an installed command."""
    assert pktdiag("trace", "198.51.100.2", netns=lab.name("a"), cwd=str(tmp_path)).returncode == 0


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv (util-linux)")
def test_without_rights_every_command_answers(lab: Lab) -> None:
    nobody = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs")
    for words in (("trace", "198.51.100.2:80"), ("why-dropped", "198.51.100.2:80"), ("why-dropped", "--for", "100ms"), ("counters",), ("hooks",), ("topology",)):
        done = pktdiag(*words, netns=lab.name("a"), prefix=nobody)
        assert done.returncode in (0, 1, 3) and done.stdout, (words, done.stderr)
        assert done.stderr == ""


def test_a_namespace_that_vanishes(lab: Lab) -> None:
    done = shell(lab, "pktdiag trace ns:nobodyhere 198.51.100.2")
    assert done.returncode == 2 and done.stderr.startswith("pktdiag: unknown-namespace: ")


def test_topology_is_what_ip_shows(lab: Lab) -> None:
    found = json.loads(pktdiag("topology", "--json", netns=lab.name("a")).stdout)
    assert found["schema"] == "pktdiag.topology/1"
    by_id = {ns["id"]: ns for ns in found["namespaces"]}
    for short in ("a", "b"):
        place = lab.places[short]
        told = by_id[place.id]
        assert {"id", "names", "pids", "container", "links"} <= told.keys()
        assert any(place.name in name for name in told["names"])
        real = json.loads(lab.sh(short, "ip -j -d a"))
        links = {link["name"]: link for link in told["links"]}
        assert links.keys() == {link["ifname"] for link in real}
        for link in real:
            one = links[link["ifname"]]
            assert {"ifindex", "name", "kind", "mac", "mtu", "up", "carrier", "addresses", "peer", "master", "parent", "xdp"} <= one.keys()
            assert (one["ifindex"], one["mtu"], one["up"], one["master"]) == (link["ifindex"], link["mtu"], "UP" in link["flags"], link.get("master"))
            assert one["mac"] == link.get("address")
            assert sorted(one["addresses"]) == sorted(f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"])
    peer = next(link for link in by_id[lab.places["a"].id]["links"] if link["name"] == "v0")["peer"]
    assert (peer["netns"], peer["name"]) == (lab.places["b"].id, "eth0")


def test_drawings_name_everything(lab: Lab) -> None:
    for form, begins in (("tree", ""), ("dot", "graph"), ("mermaid", "")):
        text = pktdiag("topology", "--format", form, netns=lab.name("a")).stdout
        assert begins in text and lab.name("b") in text and "br0" in text
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg"], input=pktdiag("topology", "--format", "dot").stdout, text=True, check=True, capture_output=True)


def test_completion_of_the_shell() -> None:
    for words in (("completion", "bash"), ("completion", "zsh"), ("completion", "fish"), ("--show-completion", "bash")):
        done = pktdiag(*words, SHELL="/bin/bash")
        assert done.returncode == 0 and "pktdiag" in done.stdout and not done.stderr
