"""containerd's own notes: STATE/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json, the OCI bundle of a running
task, with the annotations of Kubernetes (CRI) and nerdctl.

The shim works in the directory of its bundle (runtime/v2/shim: the manager starts it there), which finds a moved
state directory (k3s, microk8s, Docker's own containerd).
"""

from __future__ import annotations

import os

from pktdiag.collect import procfs, quickjson
from pktdiag.collect.containers import Facts, PublishedPort

STATES = ("/run/containerd", "/run/k3s/containerd", "/var/snap/microk8s/common/run/containerd",
          "/var/run/docker/containerd/daemon")
_TASKS = "io.containerd.runtime.v2.task"


def facts(identity: str, pid: int) -> Facts | None:
    """What the bundle says about one container; None when it is not containerd's or may not be read."""
    for directory in (*_known(identity), *_from_shim(identity, pid)):
        data = procfs.read(f"{directory}/config.json")
        if data is None:
            continue
        try:
            document = quickjson.loads(data)
        except ValueError:
            continue
        found = kubernetes(document) or nerdctl(document)
        if found is not None:
            return found
    return None


def _known(identity: str) -> list[str]:
    found = []
    for state in STATES:
        try:
            namespaces = os.listdir(f"{state}/{_TASKS}")
        except OSError:
            continue
        found += [f"{state}/{_TASKS}/{namespace}/{identity}" for namespace in namespaces]
    return found


def _from_shim(identity: str, pid: int) -> list[str]:
    for _ in range(64):
        step = procfs.parent(pid)
        if not step or step == 1:
            return []
        pid = step
        if procfs.comm(pid).startswith("containerd-shim"):
            bundle = procfs.readlink(f"{procfs.PROC}/{pid}/cwd")
            # One shim serves a whole pod and works in the sandbox's bundle; the container's lies beside it.
            return [f"{os.path.dirname(bundle)}/{identity}"] if bundle else []
    return []


def kubernetes(document: object) -> Facts | None:
    """Names from CRI annotations: containerd's (io.kubernetes.cri.*) or CRI-O's; None without any."""
    notes = quickjson.dig(document, "annotations")
    if not isinstance(notes, dict):
        return None

    def note(*keys: str) -> str:
        return next((value for key in keys if (value := quickjson.text(notes.get(key)))), "")

    pod = note("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name")
    if not pod:
        return None
    place = f"{note('io.kubernetes.cri.sandbox-namespace', 'io.kubernetes.pod.namespace') or 'default'}/{pod}"
    image = note("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName")
    inner = note("io.kubernetes.cri.container-name", "io.kubernetes.container.name")
    kind = note("io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType")
    if kind == "sandbox" or inner in ("", "POD"):
        return Facts(place, (pod,), image)
    return Facts(f"{place}/{inner}", (place, pod), image)


def nerdctl(document: object) -> Facts | None:
    """nerdctl's labels, which it repeats as annotations; the published ports are JSON inside one of them."""
    notes = quickjson.dig(document, "annotations")
    name = quickjson.text(quickjson.dig(notes, "nerdctl/name"))
    if not name:
        return None
    ports = []
    try:
        listed = quickjson.loads(quickjson.text(quickjson.dig(notes, "nerdctl/ports")).encode())
    except ValueError:
        listed = []
    for entry in listed if isinstance(listed, list) else ():
        outer, inner = quickjson.dig(entry, "HostPort"), quickjson.dig(entry, "ContainerPort")
        if isinstance(outer, int) and isinstance(inner, int):
            ports.append(PublishedPort(quickjson.text(quickjson.dig(entry, "HostIP")), outer, inner,
                                       quickjson.text(quickjson.dig(entry, "Protocol")) or "tcp"))
    return Facts(name, (), "", (), tuple(ports))
