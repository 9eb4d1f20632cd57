"""What people type for a namespace: ``host``, ``ns:NAME``, ``pid:N``, a container's name or id."""

from __future__ import annotations

import os

from pktdiag.collect import containers
from pktdiag.collect.namespaces import (
    NAMED_DIRECTORIES,
    OWN,
    REMEDY,
    NamespaceHandle,
    NoSuchNamespace,
    find_namespaces,
    of_pid,
    open_namespace,
    own_inode,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def resolve(selector: str) -> NamespaceHandle:
    """See ``namespaces.resolve``."""
    if selector == "host":
        return NamespaceHandle(own_inode(), OWN, ("host",), (os.getpid(),))
    if selector.startswith("pid:"):
        number = selector[4:]
        if not (number.isascii() and number.isdigit()):
            raise NoSuchNamespace("no-such-process", f"{selector!r} is not pid:NUMBER")
        return of_pid(int(number))
    if selector.startswith("net:["):
        return _by_inode(selector)
    if selector.startswith("ns:"):
        return _by_name(selector[3:])
    return _by_container(selector)


def _by_inode(text: str) -> NamespaceHandle:
    digits = text.removeprefix("net:[").removesuffix("]")
    handle = open_namespace(int(digits)) if digits.isascii() and digits.isdigit() else None
    if handle is None:
        raise NoSuchNamespace("unknown-namespace", f"there is no network namespace {text}")
    return handle


def _by_name(name: str) -> NamespaceHandle:
    if name.startswith("net:["):
        return _by_inode(name)
    for path in (name,) if name.startswith("/") else tuple(directory + name for directory in NAMED_DIRECTORIES):
        try:
            inode = os.stat(path).st_ino
        except (OSError, ValueError):
            continue
        # A leftover file that is no namespace mount lies on the filesystem of its directory.
        if os.stat(path).st_dev == os.stat(OWN).st_dev:
            known = open_namespace(inode)
            names = known.names if known else (name,)
            return NamespaceHandle(inode, path, names, known.pids if known else ())
    everything = find_namespaces()
    found = [handle for handle in everything if name in handle.names]
    if len(found) == 1:
        return found[0]
    if found:
        raise NoSuchNamespace("ambiguous-name", f"{len(found)} network namespaces are called {name!r}: "
                              + ", ".join(f"net:[{handle.inode}]" for handle in found))
    known_names = [known for handle in everything for known in handle.names]
    raise NoSuchNamespace("unknown-namespace", f"there is no network namespace {name!r}", near(name, known_names))


def _by_container(text: str) -> NamespaceHandle:
    found = containers.find(text)
    by_inode = {container.netns: container for container in found}
    if len(by_inode) == 1:
        container = found[0]
        if container.netns is None:
            raise NoSuchNamespace("no-permission",
                                  f"the network namespace of container {text!r} may not be read: {REMEDY}")
        handle = of_pid(container.pid)
        called = ("host", container.name) if "host" in handle.names else (container.name, *handle.names)
        return handle._replace(names=tuple(dict.fromkeys(called)))
    if found:
        raise NoSuchNamespace("ambiguous-name", f"{text!r} means {len(found)} containers",
                              tuple(container.id[:12] for container in found))
    everything = containers.containers()
    names = [name for container in everything for name in (container.name, *container.aliases)]
    alike = near(text, [*names, *(container.id[:12] for container in everything)])
    named = [f"ns:{name}" for handle in find_namespaces() for name in handle.names
             if name == text and not containers.matching(name, everything)]
    raise NoSuchNamespace("unknown-container", f"there is no running container {text!r}", (*named, *alike))


def near(text: str, names: Iterable[str]) -> tuple[str, ...]:
    """Names that look like ``text``: typing errors, and names that contain it."""
    import difflib

    pool = list(dict.fromkeys(names))
    alike = difflib.get_close_matches(text, pool, n=3, cutoff=0.6)
    within = [name for name in pool if len(text) > 1 and text in name and name not in alike]
    return tuple([*alike, *within][:4])
