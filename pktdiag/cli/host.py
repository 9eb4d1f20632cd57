"""The live host, and namespaces by what people call them."""

from __future__ import annotations

import os

from pktdiag.cli.errors import CliError
from pktdiag.collect.live import LiveHost
from pktdiag.collect.live_namespace import LiveNamespace
from pktdiag.render.places import Place, shell_word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_TODO = {"unknown-container": "list them with `pktdiag topology`", "unknown-namespace": "list them with `pktdiag topology`",
         "ambiguous-name": "use the id", "no-such-process": "check the process id"}


def selector(host: LiveHost) -> Callable[[str], LiveNamespace]:
    """Finds a namespace by selector; CliError with names that look alike."""
    def resolve(text: str) -> LiveNamespace:
        from pktdiag.collect.namespaces import NoSuchNamespace
        from pktdiag.collect.namespaces import resolve as find
        try:
            handle = find(text)
        except NoSuchNamespace as error:
            raise _explained(error.code, str(error), error.near) from None
        return host.adopt(handle.inode, handle.path, handle.names, handle.pids)
    return resolve


def namespace(host: LiveHost, text: str | None) -> LiveNamespace:
    """``--ns``: a selector, or for once the bare name of an ``ip netns`` too; None: the current one."""
    if not text:
        return host.current_namespace()
    resolve = selector(host)
    try:
        return resolve(text)
    except CliError as error:
        if error.code == "unknown-container" and f"ns:{text}" in error.why:
            return resolve(f"ns:{text}")
        raise


def _explained(code: str, message: str, near: tuple[str, ...]) -> CliError:
    why = f"did you mean {' or '.join(near)}?" if near else ""
    if not near and code != "no-such-process" and os.geteuid():
        return CliError(code, message, "without root not every container and namespace can be seen", "run as root")
    return CliError(code, message, why, _TODO.get(code, ""))


class LivePlaces(dict[str, Place]):
    """Label and way in of every namespace a rendering meets, found when it is first asked for."""

    def __init__(self, host: LiveHost) -> None:
        super().__init__()
        self._host = host

    def get(self, netns: str, default: Place | None = None) -> Place | None:  # type: ignore[override]
        if netns not in self:
            self[netns] = self._look(netns)
        return self[netns]

    def _look(self, netns: str) -> Place:
        from pktdiag.model.view import Unreadable
        current = self._host.current_namespace()
        if netns == current.id:
            return Place("host", "")
        try:
            found = self._host.namespace(int(netns[5:-1]))
            names, path, pids = list(found.names), found.door.path, found.pids
        except (Unreadable, ValueError):
            return Place(netns, "nsenter --net=… ")
        label = next((name for name in names if name != "pid:1"), names[0] if names else netns)
        if path.startswith("/run/netns/"):
            return Place(label, f"ip netns exec {shell_word(path[len('/run/netns/'):])}")
        if pids and not path.startswith("/run/"):
            path = f"/proc/{pids[0]}/ns/net"
        return Place(label, f"nsenter --net={shell_word(path)}")
