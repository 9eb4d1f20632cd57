"""Containers and what people call them, without any engine's tool: cgroup paths name the owner, the engine's own
state files name the container.

Everything here races with engines that create and remove containers; whatever vanished is simply not there. Names
come from other programs' files and are kept raw.
"""

from __future__ import annotations

from pktdiag.collect import cgroups, procfs
from pktdiag.model.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Attachment(NamedTuple):
    """One network of a container as its engine wrote it down (the truth is in the namespace itself)."""

    network: str
    addresses: tuple[str, ...]


class PublishedPort(NamedTuple):
    """``-p HOST_IP:HOST_PORT:CONTAINER_PORT/PROTO`` as in force."""

    host_ip: str
    """"" or "0.0.0.0" or "::" for every address."""
    host_port: int
    container_port: int
    proto: str
    """"tcp", "udp", "sctp"."""


class Facts(NamedTuple):
    """What an engine's state files say about one container."""

    name: str
    aliases: tuple[str, ...] = ()
    """Other names it answers to: Kubernetes "namespace/pod", a compose service."""
    image: str = ""
    networks: tuple[Attachment, ...] = ()
    ports: tuple[PublishedPort, ...] = ()


class Container(NamedTuple):
    """One running container."""

    name: str
    """Raw; "NAMESPACE/POD/CONTAINER" for Kubernetes; the short id when no name could be found."""
    id: str
    """The engine's id; for LXC and machines the name."""
    engine: str
    """"docker", "podman", "containerd", "cri-o", "lxc", "nspawn", "machine"."""
    pid: int
    """Its first process, as seen from here."""
    netns: int | None
    """Inode; None when not permitted or just gone. Several containers of a pod share one."""
    aliases: tuple[str, ...] = ()
    image: str = ""
    networks: tuple[Attachment, ...] = ()
    ports: tuple[PublishedPort, ...] = ()


_facts: dict[tuple[str, str], Facts] = {}


def forget() -> None:
    """Drops what is remembered: containers may have been renamed since."""
    from pktdiag.collect import containers_docker

    _facts.clear()
    containers_docker.forget()


def owner(pid: int) -> cgroups.Owner | None:
    """Who owns a process by its cgroup; where that says nothing, by its ancestors: a shim or a monitor of an engine
    that was told to leave cgroups alone."""
    data = procfs.read(f"{procfs.PROC}/{pid}/cgroup")
    if data is None:
        return None
    found = cgroups.owner_of(data.decode("utf-8", "surrogateescape"))
    if found is not None and found.engine != "systemd":
        return found
    if procfs.netns_of(pid) in (None, procfs.namespace_inode(f"{procfs.PROC}/self/ns/net")):
        return found
    return supervised(pid) or found


def supervised(pid: int) -> cgroups.Owner | None:
    """The container whose ``conmon`` or ``containerd-shim`` is an ancestor of the process."""
    for _ in range(64):
        step = procfs.parent(pid)
        if not step or step == 1:
            return None
        pid = step
        name = procfs.comm(pid)
        if name.startswith("conmon"):
            identity = option(procfs.cmdline(pid), "-c", "--cid")
            return cgroups.Owner("podman", identity) if cgroups.is_id(identity) else None
        if name.startswith("containerd-shim"):
            line = procfs.cmdline(pid)
            identity = option(line, "-id", "--id")
            engine = "docker" if option(line, "-namespace", "--namespace") == "moby" else "containerd"
            return cgroups.Owner(engine, identity) if identity else None
    return None


def option(cmdline: tuple[str, ...], *names: str) -> str:
    """Value of ``-x VALUE`` or ``-x=VALUE`` on a command line; "" when absent."""
    for index, word in enumerate(cmdline):
        if word in names and index + 1 < len(cmdline):
            return cmdline[index + 1]
        head, equals, value = word.partition("=")
        if equals and head in names:
            return value
    return ""


def facts(who: cgroups.Owner, pid: int) -> Facts:
    """What the owner's engine wrote about the container that ``pid`` lives in; always at least a name."""
    key = (who.engine, who.id)
    known = _facts.get(key)
    if known is None:
        known = _facts[key] = _look_up(who, pid) or Facts(who.id[:12] if cgroups.is_id(who.id) else who.id)
    return known


def _look_up(who: cgroups.Owner, pid: int) -> Facts | None:
    if who.engine in ("lxc", "nspawn", "machine", "systemd"):
        return None
    # The cgroup only hints at the engine: ``/docker/ID`` is sure, a bare id below /kubepods may be anyone's.
    first = {"docker": "docker", "podman": "podman", "cri-o": "podman", "containerd": "containerd"}.get(who.engine)
    for engine in sorted(_READERS, key=lambda engine: engine != first):
        found = _READERS[engine](who.id, pid)
        if found is not None:
            return found
    return None


def _from_containerd(identity: str, pid: int) -> Facts | None:
    from pktdiag.collect import containers_containerd

    return containers_containerd.facts(identity, pid)


def _from_docker(identity: str, pid: int) -> Facts | None:
    from pktdiag.collect import containers_docker

    return containers_docker.facts(identity, pid)


def _from_podman(identity: str, pid: int) -> Facts | None:
    from pktdiag.collect import containers_podman

    return containers_podman.facts(identity, pid)


_READERS = {"containerd": _from_containerd, "docker": _from_docker, "podman": _from_podman}


def name_of(pid: int) -> str | None:
    """Display name of the container or systemd unit a process belongs to; None for neither."""
    who = owner(pid)
    if who is None:
        return None
    return who.id if who.engine == "systemd" else facts(who, pid).name


def of(pid: int) -> Container | None:
    """The container a process lives in; None outside of one (a systemd unit is not a container)."""
    who = owner(pid)
    if who is None or who.engine == "systemd":
        return None
    return _describe(who, pid)


def _describe(who: cgroups.Owner, pid: int) -> Container:
    about = facts(who, pid)
    return Container(about.name, who.id, who.engine, pid, procfs.netns_of(pid), about.aliases, about.image,
                     about.networks, about.ports)


def containers(pids: Iterable[int] | None = None) -> list[Container]:
    """Every running container, by its first process. Reads all of /proc; stopped containers have no network."""
    groups: dict[cgroups.Owner, list[int]] = {}
    for pid in procfs.pids() if pids is None else pids:
        who = owner(pid)
        if who is not None and who.engine != "systemd":
            groups.setdefault(who, []).append(pid)
    return [_describe(who, first_process(members)) for who, members in groups.items()]


def first_process(members: list[int]) -> int:
    """The one whose parent is outside: pids wrap around, so the lowest need not be the oldest."""
    inside = set(members)
    for pid in members:
        if procfs.parent(pid) not in inside:
            return pid
    return members[0]


def find(text: str) -> list[Container]:
    """Containers whose name, alias, id or id prefix (4 digits and more) is ``text``, best kind of match first.

    Docker's state directories are asked first, so that one name on a host with a thousand containers does not cost a
    look at each of them; whatever they do not know is looked for among all processes.
    """
    from pktdiag.collect import containers_docker

    quick = _quick(text)
    if quick is None and containers_docker.learn_root():
        quick = _quick(text)
    if quick is not None:
        return [quick]
    return matching(text, containers())


def matching(text: str, candidates: list[Container]) -> list[Container]:
    """Those of ``candidates`` that ``text`` names."""
    for test in (lambda c: text == c.name, lambda c: text in c.aliases, lambda c: text == c.id,
                 lambda c: len(text) >= 4 and cgroups.is_id(c.id) and c.id.startswith(text)):
        found = [container for container in candidates if test(container)]
        if found:
            return found
    return []


def _quick(text: str) -> Container | None:
    from pktdiag.collect import containers_docker

    for identity, pid in containers_docker.candidates(text):
        who = owner(pid)
        if who is not None and who.id == identity:
            container = _describe(who, pid)
            if matching(text, [container]):
                return container
    return None


def of_namespace(pids: Iterable[int]) -> str | None:
    """One display name for a namespace's inhabitants: the container's name, several joined, a pod by its own name
    with its containers in brackets. None when no container lives there."""
    found: dict[str, Container] = {}
    for pid in pids:
        container = of(pid)
        if container is not None:
            found.setdefault(container.id, container)
    return joint_name(list(found.values()))


def joint_name(inhabitants: list[Container]) -> str | None:
    """See :func:`of_namespace`."""
    names = list(dict.fromkeys(container.name for container in inhabitants))
    if len(names) < 2:
        return names[0] if names else None
    pods = {name.rpartition("/")[0] if name.count("/") == 2 else name for name in names if name.count("/") in (1, 2)}
    if len(pods) == 1 and all(name.count("/") in (1, 2) for name in names):
        return f"{pods.pop()} ({', '.join(n.rpartition('/')[2] for n in names if n.count('/') == 2)})"
    return ", ".join(names)
