"""Podman's and CRI-O's own notes: conmon's command line, containers/storage's containers.json, OCI annotations.

``conmon -c ID -n NAME -b BUNDLE …`` watches every container (libpod/oci_conmon_linux.go: sharedConmonArgs), and is the
parent of its first process, rootless too.
"""

from __future__ import annotations

import os

from pktdiag.collect import procfs, quickjson
from pktdiag.collect.containers import Attachment, Facts, PublishedPort, option
from pktdiag.collect.containers_containerd import kubernetes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ROOT_STORES = ("/var/lib/containers/storage",)
CNI_RESULTS = "/var/lib/cni/results"
_DRIVERS = ("overlay", "vfs", "btrfs", "zfs")


def facts(identity: str, pid: int) -> Facts | None:
    """What the engine wrote about one container; None when it is neither's or may not be read."""
    line = conmon(pid, identity)
    bundle = option(line, "-b", "--bundle")
    if bundle:
        annotated = kubernetes(_json(f"{bundle}/config.json"))
        if annotated is not None:
            return annotated
    name = option(line, "-n", "--name")
    stored = _stored(identity, pid, bundle)
    if name or stored:
        image = stored.image if stored else ""
        networks, ports = cni(identity)
        return Facts(name or (stored.name if stored else ""), stored.aliases if stored else (), image, networks, ports)
    return None


def conmon(pid: int, identity: str) -> tuple[str, ...]:
    """Command line of the conmon above a process; empty when there is none."""
    for _ in range(64):
        step = procfs.parent(pid)
        if not step or step == 1:
            return ()
        pid = step
        line = procfs.cmdline(pid)
        if line and os.path.basename(line[0]) == "conmon":
            return line if option(line, "-c", "--cid") == identity else ()
    return ()


def cni(identity: str) -> tuple[tuple[Attachment, ...], tuple[PublishedPort, ...]]:
    """Networks and published ports as CNI's result cache keeps them (containernetworking/cni libcni/api.go:
    cacheAdd), where CNI made the network; netavark keeps no such notes."""
    networks, ports = [], []
    try:
        files = [name for name in os.listdir(CNI_RESULTS) if f"-{identity}-" in name]
    except OSError:
        return (), ()
    for name in files:
        document = _json(f"{CNI_RESULTS}/{name}")
        addresses = quickjson.dig(document, "result", "ips")
        networks.append(Attachment(quickjson.text(quickjson.dig(document, "networkName")), tuple(
            quickjson.text(quickjson.dig(entry, "address")) for entry in addresses or ()
        ) if isinstance(addresses, list) else ()))
        mappings = quickjson.dig(document, "capabilityArgs", "portMappings")
        for entry in mappings if isinstance(mappings, list) else ():
            outer, inner = quickjson.dig(entry, "hostPort"), quickjson.dig(entry, "containerPort")
            if isinstance(outer, int) and isinstance(inner, int):
                ports.append(PublishedPort(quickjson.text(quickjson.dig(entry, "hostIP")), outer, inner,
                                           quickjson.text(quickjson.dig(entry, "protocol")) or "tcp"))
    return tuple(networks), tuple(ports)


def _stored(identity: str, pid: int, bundle: str) -> Facts | None:
    stores = [f"{root}/{driver}-containers" for root in (*ROOT_STORES, *_homes(pid)) for driver in _DRIVERS]
    if bundle:
        stores.insert(0, os.path.dirname(os.path.dirname(bundle)))
    for store in stores:
        documents = _json(f"{store}/containers.json")
        for document in documents if isinstance(documents, list) else ():
            if quickjson.dig(document, "id") != identity:
                continue
            names = quickjson.dig(document, "names")
            names = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
            image = ""
            try:
                metadata = quickjson.loads(quickjson.text(quickjson.dig(document, "metadata")).encode())
                image = quickjson.text(quickjson.dig(metadata, "image-name"))
            except ValueError:
                pass
            return Facts(names[0], tuple(names[1:]), image) if names else None
    return None


def _homes(pid: int) -> tuple[str, ...]:
    """Where the process's user keeps containers, if it is not root. Inside a rootless container uids are mapped, so
    the monitor's uid is the user's."""
    owner = procfs.uid(procfs.parent(pid) or pid) or 0
    if owner == 0:
        return ()
    try:
        import pwd

        return (f"{pwd.getpwuid(owner).pw_dir}/.local/share/containers/storage",)
    except (KeyError, ImportError):
        return ()


def _json(path: str) -> Any:
    data = procfs.read(path)
    if data is None:
        return None
    try:
        return quickjson.loads(data)
    except ValueError:
        return None
