"""Read only, proved by strace: no request that changes anything, no write to /proc or /sys, no program started."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from .conftest import Lab, pktdiag

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")]

CALLS = "socket,sendto,sendmsg,sendmmsg,write,writev,pwrite64,open,openat,openat2,creat,execve,execveat,setsockopt,ioctl,unlink,unlinkat,rename,mkdir," \
    "mkdirat,mount,umount2,kill,tgkill,bpf,fork,vfork,clone,clone3,connect,bind,init_module,finit_module,symlink,truncate,ftruncate,chmod,chown"

# Message types that only read, by number: include/uapi/linux/rtnetlink.h (every fourth is a GET), sock_diag.h,
# netfilter/nfnetlink_conntrack.h, nf_tables.h, ipset/ip_set.h, nfnetlink_hook.h. strace knows the names only of sockets it
# finds in its own network namespace.
NFNL_READS = {1: {1, 4, 5, 6, 7}, 2: {1}, 6: {1, 7, 8, 11, 12, 13, 14, 15}, 7: {1}, 10: {1, 4, 7, 10, 13, 16, 19, 23}, 12: {0}}
NFNL_NAMES = {"NFNL_SUBSYS_CTNETLINK": 1, "NFNL_SUBSYS_CTNETLINK_EXP": 2, "NFNL_SUBSYS_IPSET": 6, "NFNL_SUBSYS_ACCT": 7,
              "NFNL_SUBSYS_NFTABLES": 10, "NFNL_SUBSYS_HOOK": 12}
NFNL_READ_NAMES = re.compile(r"(NFT_MSG_GET(?!\w*RESET)\w+|IPCTNL_MSG_CT_GET(_STATS\w*|_DYING|_UNCONFIRMED)?|IPCTNL_MSG_EXP_GET|IPSET_CMD_"
                             r"(PROTOCOL|LIST|SAVE|TEST|HEADER|TYPE|GET_BYNAME|GET_BYINDEX)|NFNL_MSG_ACCT_GET|NFNL_MSG_HOOK_GET)")
NETLINK_OPTIONS = ("NETLINK_EXT_ACK", "NETLINK_CAP_ACK", "NETLINK_GET_STRICT_CHK", "NETLINK_NO_ENOBUFS", "SO_RCVBUF", "SO_SNDBUF", "SO_RCVTIMEO",
                   "SO_SNDTIMEO", "SO_RCVBUFFORCE")
IOCTL_READS = ("TCGETS", "TCGETS2", "TIOCGWINSZ", "FIOCLEX", "FIONBIO", "NS_GET_", "SIOCGIF", "SIOCETHTOOL")


def calls_of(lab: Lab, tmp_path: Path, *words: str) -> list[str]:
    """Every interesting system call of one run, of all its threads and children, one a line."""
    log = tmp_path / "strace"
    done = pktdiag(*words, netns=lab.host, PYTHONDONTWRITEBYTECODE="1",
                   prefix=("strace", "-f", "-qq", "-v", "-s", "256", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(log)))
    assert done.returncode in (0, 1, 3), done.stderr
    return log.read_text(errors="replace").splitlines()


class Watch:
    """What one run did so far: which descriptor speaks which netlink protocol, which programs were started."""

    def __init__(self) -> None:
        self.protocols: dict[str, str] = {}
        self.started: list[str] = []


def is_harmless(line: str, watch: Watch) -> bool:
    """Whether one strace line is a call that reads only."""
    call = re.sub(r"^\d+ +", "", line)
    started = watch.started
    opened = re.match(r"socket\(AF_NETLINK, [^,]+, (\w+)\) += (\d+)", call)
    if opened:
        watch.protocols[opened.group(2)] = opened.group(1)
    name = call.partition("(")[0]
    failed = bool(re.search(r"= -1 E", call)) or " resumed>" in call
    if name in ("open", "openat", "openat2", "creat"):
        return failed or not re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", call) or '"/dev/null"' in call
    if name in ("write", "writev", "pwrite64"):
        return bool(re.match(r"write\((1|2), ", call))
    if name in ("sendto", "sendmsg", "sendmmsg"):
        return _netlink_reads(call, watch.protocols.get(re.sub(r"^\w+\((\d+).*", r"\1", call), ""))
    if name in ("execve", "execveat"):
        started.append(call)
        return len(started) == 1  # the interpreter itself
    if name == "setsockopt":
        return any(option in call for option in NETLINK_OPTIONS)
    if name == "ioctl":
        return failed or any(word in call for word in IOCTL_READS)
    if name == "bpf":
        return "BPF_PROG_QUERY" in call
    if name == "connect":
        return "AF_UNIX" in call
    if name == "socket":
        return True
    if name == "bind":
        return "AF_NETLINK" in call
    return name not in CALLS.split(",") or failed


def _netlink_reads(call: str, protocol: str) -> bool:
    types = re.findall(r"nlmsg_type=([^,}]+)", call)
    return bool(types) and all(_reads(kind.strip(), protocol) for kind in types)


def _reads(kind: str, protocol: str) -> bool:
    if kind[0].isdigit():
        number = int(kind.split()[0], 0)
        if protocol == "NETLINK_ROUTE":
            return number >= 16 and number % 4 == 2
        if protocol == "NETLINK_SOCK_DIAG":
            return number in (18, 20)
        if protocol == "NETLINK_XFRM":
            return number in (0x15, 0x25, 0x28)  # XFRM_MSG_GETPOLICY, GETSPDINFO, GETDEFAULT
        return protocol == "NETLINK_NETFILTER" and number & 0xFF in NFNL_READS.get(number >> 8, set())
    if kind in ("XFRM_MSG_GETPOLICY", "XFRM_MSG_GETSPDINFO", "XFRM_MSG_GETDEFAULT"):
        return True
    if kind.startswith("RTM_GET") or kind in ("SOCK_DIAG_BY_FAMILY", "TCPDIAG_GETSOCK"):
        return True
    subsystem, _, message = kind.partition("<<8|")
    if message[:1].isdigit():
        return int(message.split()[0], 0) in NFNL_READS.get(NFNL_NAMES.get(subsystem, -1), set())
    return bool(NFNL_READ_NAMES.fullmatch(message))


@pytest.mark.parametrize("words", [
    ("trace", "198.51.100.2", "172.30.0.2:80"), ("why-dropped", "198.51.100.2", "198.51.100.1:8000/udp"), ("trace", "[::1]:80", "--json"),
    ("trace", "203.0.113.7", "172.30.0.2:80", "--in", "eth0"), ("why-dropped", "--for", "100ms"), ("topology",), ("topology", "--json"),
    ("counters", "--all"), ("hooks",), ("hooks", "--json"), ("completion", "bash"),
], ids=" ".join)
def test_a_command_only_reads(lab: Lab, tmp_path: Path, words: tuple[str, ...]) -> None:
    watch = Watch()
    bad = [line for line in calls_of(lab, tmp_path, *words) if not is_harmless(line, watch)]
    assert bad == []
    assert len(watch.started) == 1 and sys.executable in watch.started[0]


@pytest.mark.parametrize("line", [
    'sendto(3, [{nlmsg_len=40, nlmsg_type=RTM_NEWLINK, nlmsg_flags=NLM_F_REQUEST}], 40) = 40',
    'sendto(5, [{nlmsg_len=40, nlmsg_type=0x10 /* NLMSG_??? */, nlmsg_flags=NLM_F_REQUEST}], 40) = 40',
    'sendto(3, [{nlmsg_len=40, nlmsg_type=NFNL_SUBSYS_NFTABLES<<8|NFT_MSG_DELRULE, nlmsg_flags=0}], 40) = 40',
    'sendto(3, [{nlmsg_len=40, nlmsg_type=NFNL_SUBSYS_CTNETLINK<<8|IPCTNL_MSG_CT_GET_CTRZERO, nlmsg_flags=0}], 40) = 40',
    'openat(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", O_WRONLY|O_CLOEXEC) = 4', 'write(4, "1", 1) = 1', 'execve("/bin/true", ["true"]) = 0',
    'setsockopt(3, SOL_IP, IPT_SO_SET_REPLACE, "x", 1) = 0', 'connect(3, {sa_family=AF_INET, sin_port=htons(80)}, 16) = 0',
    'sendto(3, "x", 1, 0, {sa_family=AF_INET}, 16) = 1', 'unlink("/run/x") = 0',
    'sendto(3, [{nlmsg_len=40, nlmsg_type=XFRM_MSG_NEWPOLICY, nlmsg_flags=NLM_F_REQUEST}], 40) = 40', 'bpf(BPF_PROG_LOAD, {}, 1) = 3',
])
def test_the_test_would_notice(line: str) -> None:
    watch = Watch()
    watch.started.append("execve(python)")
    is_harmless("123 socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE) = 5", watch)
    assert not is_harmless("123 " + line, watch)
