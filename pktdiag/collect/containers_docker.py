"""Docker's own notes: DATA-ROOT/containers/ID/config.v2.json (daemon/container in moby: Container.toDisk).

The data root is /var/lib/docker unless someone moved it. A container's own mount table tells where: /etc/hostname is
a bind mount of DATA-ROOT/containers/ID/hostname.
"""

from __future__ import annotations

import os

from pktdiag.collect import cgroups, mounts, procfs, quickjson
from pktdiag.collect.containers import Attachment, Facts, PublishedPort, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

DEFAULT_ROOTS = ("/var/lib/docker", "/var/snap/docker/common/var-lib-docker", "/mnt/docker-data")
_roots: dict[str, None] = dict.fromkeys(DEFAULT_ROOTS)
_daemons_asked = False


def forget() -> None:
    """Lets the daemons be looked for again."""
    global _daemons_asked
    _daemons_asked = False


def facts(identity: str, pid: int) -> Facts | None:
    """What Docker wrote about one container; None when it is not Docker's or may not be read."""
    for root in list(_roots):
        document = _config(f"{root}/containers/{identity}")
        if document is not None:
            return parse(document)
    directory = state_directory(pid, identity)
    if directory is not None:
        document = _config(directory)
        if document is not None:
            _roots[directory.rpartition("/containers/")[0]] = None
            return parse(document)
    known = len(_roots)
    _ask_daemons()
    for root in list(_roots)[known:]:
        document = _config(f"{root}/containers/{identity}")
        if document is not None:
            return parse(document)
    return None


def state_directory(pid: int, identity: str) -> str | None:
    """The directory named after the container that one of its mounts comes from, as a path here."""
    within = f"/{identity}/"
    for mount in mounts.table(pid, within):
        at = mount.root.find(within)
        if at >= 0:
            inside = mount.root[: at + len(within) - 1]
            # Under its own name more often than not; a mount table of a thousand lines costs the kernel 2 ms.
            return inside if mounts.stands_at(mount.device, inside) else mounts.host_path(mount.device, inside, mounts.table())
    return None


def learn_root() -> bool:
    """Learns a moved data root from the first Docker container met in /proc; True when there is a new one."""
    for pid in procfs.pids():
        data = procfs.read(f"{procfs.PROC}/{pid}/cgroup")
        if data is None or b"docker" not in data:
            continue
        who = cgroups.owner_of(data.decode("utf-8", "surrogateescape"))
        if who is None or who.engine != "docker":
            continue
        directory = state_directory(pid, who.id)
        if directory is not None:
            root = directory.rpartition("/containers/")[0]
            new = root not in _roots
            _roots[root] = None
            return new
    return False


def parse(document: object) -> Facts | None:
    """config.v2.json → facts; missing or odd fields are left out."""
    dig, text = quickjson.dig, quickjson.text
    name = text(dig(document, "Name")).removeprefix("/")
    if not name:
        return None
    labels = dig(document, "Config", "Labels")
    aliases = []
    if isinstance(labels, dict):
        pod, namespace = text(labels.get("io.kubernetes.pod.name")), text(labels.get("io.kubernetes.pod.namespace"))
        if pod:
            aliases.append(f"{namespace}/{pod}")
        service = text(labels.get("com.docker.compose.service"))
        if service:
            aliases.append(service)
    return Facts(name, tuple(aliases), text(dig(document, "Config", "Image")), _networks(document), _ports(document))


def _networks(document: object) -> tuple[Attachment, ...]:
    networks = quickjson.dig(document, "NetworkSettings", "Networks")
    found = []
    for network, settings in networks.items() if isinstance(networks, dict) else ():
        pairs = (("IPAddress", "IPPrefixLen"), ("GlobalIPv6Address", "GlobalIPv6PrefixLen"))
        addresses = tuple(f"{quickjson.dig(settings, address)}/{quickjson.dig(settings, length)}"
                          for address, length in pairs if quickjson.dig(settings, address))
        found.append(Attachment(network, addresses))
    return tuple(found)


def _ports(document: object) -> tuple[PublishedPort, ...]:
    ports = quickjson.dig(document, "NetworkSettings", "Ports")
    found = []
    for inner, bindings in ports.items() if isinstance(ports, dict) else ():
        number, _slash, proto = inner.partition("/")
        for binding in bindings if isinstance(bindings, list) else ():
            outer = quickjson.text(quickjson.dig(binding, "HostPort"))
            if number.isdigit() and outer.isdigit():
                address = quickjson.text(quickjson.dig(binding, "HostIp"))
                found.append(PublishedPort(address, int(outer), int(number), proto or "tcp"))
    return tuple(found)


def candidates(text: str) -> Iterator[tuple[str, int]]:
    """(id, pid) of running containers that ``text`` may name, from the known data roots; to be checked by the caller.

    Files are searched for the name as text and only parsed when it is there: 15 µs a container.
    """
    needle = b'"Name":"/' + text.encode("utf-8", "surrogateescape") + b'"'
    for root in list(_roots):
        try:
            identities = os.listdir(f"{root}/containers")
        except OSError:
            continue
        for identity in identities:
            path = f"{root}/containers/{identity}/config.v2.json"
            data = procfs.read(path)
            if data is None or not (needle in data or (len(text) >= 4 and identity.startswith(text))):
                continue
            try:
                pid = quickjson.dig(quickjson.loads(data), "State", "Pid")
            except ValueError:
                continue
            if isinstance(pid, int) and pid > 0:
                yield identity, pid


def _config(directory: str) -> Any:
    data = procfs.read(f"{directory}/config.v2.json")
    if data is None:
        return None
    try:
        return quickjson.loads(data)
    except ValueError:  # caught between truncate and write: older engines do not rename into place
        return None


def _ask_daemons() -> None:
    """Adds the data roots of running daemons: --data-root, the configuration file, or a rootless user's default."""
    global _daemons_asked
    if _daemons_asked:
        return
    _daemons_asked = True
    own = procfs.readlink(f"{procfs.PROC}/self/ns/mnt")
    for pid in procfs.pids():
        if procfs.comm(pid) != "dockerd":
            continue
        prefix = "" if procfs.readlink(f"{procfs.PROC}/{pid}/ns/mnt") == own else f"{procfs.PROC}/{pid}/root"
        line = procfs.cmdline(pid)
        root = option(line, "--data-root", "-g", "--graph")
        if not root:
            data = procfs.read(prefix + (option(line, "--config-file") or "/etc/docker/daemon.json"))
            try:
                root = quickjson.text(quickjson.dig(quickjson.loads(data), "data-root")) if data else ""
            except ValueError:
                root = ""
        if not root and (procfs.uid(pid) or 0) != 0:
            home = environment(pid, "XDG_DATA_HOME") or f"{environment(pid, 'HOME')}/.local/share"
            root = f"{home}/docker"
        _roots[prefix + (root or "/var/lib/docker")] = None


def environment(pid: int, name: str) -> str:
    """One variable of a process's initial environment; "" where absent or forbidden."""
    data = procfs.read(f"{procfs.PROC}/{pid}/environ") or b""
    start = name.encode() + b"="
    for entry in data.split(b"\0"):
        if entry.startswith(start):
            return entry[len(start):].decode("utf-8", "surrogateescape")
    return ""
