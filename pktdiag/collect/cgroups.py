"""Who owns a process, from its cgroup path alone: container engine and id, LXC or machine name, systemd unit.

Pure functions over the text of /proc/PID/cgroup. The innermost container wins, so a Docker inside a Docker names the
inner one. Layouts (each engine's own documentation or source is the authority; the tests hold one example of each):

=============================  ==================================================================
docker                         /docker/ID, …/docker-ID.scope
podman                         …/libpod-ID.scope[/container], /libpod_parent/libpod-ID
containerd CRI, cri-o          …/cri-containerd-ID.scope, …/crio-ID.scope, /kubepods/…/podUID/ID
nerdctl / ctr                  …/nerdctl-ID.scope, /NAMESPACE/ID
LXC, LXD, Incus                /lxc.payload.NAME, /lxc.payload/NAME, /lxc/NAME
systemd-nspawn, machined       machine.slice/systemd-nspawn@NAME.service, machine.slice/machine-NAME.scope
systemd unit                   …/NAME.service, …/NAME.scope
=============================  ==================================================================
"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple


class Owner(NamedTuple):
    """What a cgroup path says."""

    engine: str
    """"docker", "podman", "containerd", "cri-o", "lxc", "nspawn", "machine", "systemd"."""
    id: str
    """64 hex digits for OCI engines; the name for the others."""
    pod: str = ""
    """Kubernetes pod uid, dashes restored; "" outside a pod."""


_PREFIXES = {
    "docker": "docker", "libpod": "podman", "cri-containerd": "containerd", "crio": "cri-o", "nerdctl": "containerd",
    "containerd": "containerd",
}
_PARENTS = {"docker": "docker", "libpod_parent": "podman", "machine.slice": "podman", "podman": "podman"}
# conmon and the LXC monitor live beside the container, in the host's namespaces.
_MONITORS = ("libpod-conmon-", "crio-conmon-", "lxc.monitor", "conmon-")
_BORING = ("init.scope", "user@", "session-", "-.slice")


def owner_of(cgroup: str) -> Owner | None:
    """The innermost owner named in the content of /proc/PID/cgroup, v1 or v2; containers before units."""
    unit: Owner | None = None
    seen = set()
    for line in cgroup.split("\n"):
        # hierarchy:controllers:path, and the path may hold colons.
        path = line.split(":", 2)[-1]
        if path in seen or path in ("", "/"):
            continue
        seen.add(path)
        owner = owner_of_path(path)
        if owner is None:
            continue
        if owner.engine != "systemd":
            return owner
        unit = unit or owner
    return unit


def owner_of_path(path: str) -> Owner | None:
    """The innermost owner named in one cgroup path."""
    parts = [_unescape(part) for part in path.split("/") if part]
    for index in range(len(parts) - 1, -1, -1):
        found = _container(parts, index)
        if found is not None:
            return found
    for part in reversed(parts):
        if part.startswith(_MONITORS):
            return None
        if part.endswith((".service", ".scope")) and not part.startswith(_BORING):
            return Owner("systemd", part)
    return None


def is_id(text: str) -> bool:
    """64 lower-case hex digits, as every OCI engine makes them."""
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)


def _container(parts: list[str], index: int) -> Owner | None:
    part = parts[index]
    before = parts[index - 1] if index else ""
    if part.startswith(_MONITORS):
        return None
    bare = part.removesuffix(".scope")
    if is_id(bare):
        engine = _PARENTS.get(before)
        pod = _pod(parts[:index])
        if engine is None:
            engine = "containerd"
            if not pod and index >= 2 and parts[index - 2] == "docker":
                engine = "docker"
        return Owner(engine, bare, pod)
    head, dash, tail = bare.rpartition("-")
    if dash and is_id(tail):
        return Owner(_PREFIXES.get(head, "containerd"), tail, _pod(parts[:index]))
    if part.startswith("lxc.payload."):
        return Owner("lxc", part[len("lxc.payload."):])
    if before in ("lxc.payload", "lxc") and part != "lxc.payload":
        return Owner("lxc", part)
    if part.startswith("systemd-nspawn@") and part.endswith(".service"):
        return Owner("nspawn", part[len("systemd-nspawn@"):-len(".service")])
    if before == "machine.slice" and part.startswith("machine-") and part.endswith(".scope"):
        return Owner("machine", part[len("machine-"):-len(".scope")])
    return None


def _pod(parts: list[str]) -> str:
    """``kubepods-burstable-pod1b2c_….slice`` or ``pod1b2c-…`` → the pod's uid."""
    for part in reversed(parts):
        bare = part.removesuffix(".slice")
        if bare.startswith("kubepods") and "-pod" in bare:
            return bare[bare.index("-pod") + 4:].replace("_", "-")
        if bare.startswith("pod") and len(bare) > 20:
            return bare[3:]
    return ""


def _unescape(part: str) -> str:
    r"""systemd's ``\x2d`` escapes (systemd.unit(5), "STRING ESCAPING")."""
    if "\\x" not in part:
        return part
    head, *rest = part.split("\\x")
    out = [head]
    for piece in rest:
        try:
            out.append(bytes.fromhex(piece[:2]).decode("latin-1") + piece[2:])
        except ValueError:
            out.append("\\x" + piece)
    return "".join(out)
