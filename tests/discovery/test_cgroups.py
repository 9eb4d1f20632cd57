"""One real cgroup path of every engine."""

from __future__ import annotations

import pytest

from pktdiag.collect.cgroups import Owner, owner_of, owner_of_path

ID = "223a919cf34a9e91e9e1d3b024e135ab0d5f93de002b81da895aa1872b51c622"
OTHER = "79eede2a1fdab64239bebd80b4ca139c3b52003d67f79fc4c21de3b083838dd3"
POD = "1f3a6d2e-0000-4c1b-9f5e-aaaaaaaaaaaa"
UNDERSCORED = POD.replace("-", "_")


@pytest.mark.parametrize(("path", "owner"), [
    (f"/docker/{ID}", Owner("docker", ID)),
    (f"/system.slice/docker-{ID}.scope", Owner("docker", ID)),
    (f"/docker/{ID}/init.scope", Owner("docker", ID)),
    (f"/docker/{ID}/docker/{OTHER}", Owner("docker", OTHER)),
    (f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope", Owner("docker", ID)),
    (f"/machine.slice/libpod-{ID}.scope/container", Owner("podman", ID)),
    (f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope", Owner("podman", ID)),
    (f"/libpod_parent/libpod-{ID}", Owner("podman", ID)),
    (f"/machine.slice/libpod-conmon-{ID}.scope", None),
    (f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UNDERSCORED}.slice/cri-containerd-{ID}.scope",
     Owner("containerd", ID, POD)),
    (f"/kubepods/besteffort/pod{POD}/{ID}", Owner("containerd", ID, POD)),
    (f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-{ID}.scope", Owner("cri-o", ID, POD)),
    (f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-conmon-{ID}.scope", None),
    (f"/system.slice/nerdctl-{ID}.scope", Owner("containerd", ID)),
    (f"/default/{ID}", Owner("containerd", ID)),
    ("/lxc.payload.web/system.slice/nginx.service", Owner("lxc", "web")),
    ("/lxc/web", Owner("lxc", "web")),
    ("/lxc.payload/web", Owner("lxc", "web")),
    ("/lxc.monitor.web", None),
    ("/machine.slice/systemd-nspawn@debian.service/payload", Owner("nspawn", "debian")),
    ("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", Owner("machine", "qemu-1-vm")),
    ("/system.slice/nginx.service", Owner("systemd", "nginx.service")),
    ("/user.slice/user-1000.slice/user@1000.service/app.slice/my\\x2dapp.service", Owner("systemd", "my-app.service")),
    ("/user.slice/user-1000.slice/session-3.scope", None),
    ("/init.scope", None),
    ("/", None),
    ("", None),
])
def test_every_engine_s_path_names_its_owner(path: str, owner: Owner | None) -> None:
    assert owner_of_path(path) == owner


def test_a_container_wins_over_a_unit_of_another_hierarchy() -> None:
    assert owner_of(f"1:name=systemd:/system.slice/containerd.service\n0::/docker/{ID}\n") == Owner("docker", ID)


def test_a_cgroup_path_may_hold_colons() -> None:
    assert owner_of(f"0::/system.slice/a:b/docker-{ID}.scope") == Owner("docker", ID)
