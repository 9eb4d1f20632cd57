"""Engines that cannot be started here: their state files as they write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pktdiag.collect import containers, containers_containerd, containers_docker, quickjson
from pktdiag.collect.containers import Container, Facts, PublishedPort

ID = "79eede2a1fdab64239bebd80b4ca139c3b52003d67f79fc4c21de3b083838dd3"

CRI = {"io.kubernetes.cri.container-name": "nginx", "io.kubernetes.cri.container-type": "container",
       "io.kubernetes.cri.image-name": "docker.io/library/nginx:1", "io.kubernetes.cri.sandbox-id": ID,
       "io.kubernetes.cri.sandbox-name": "web-7d9c", "io.kubernetes.cri.sandbox-namespace": "shop"}
SANDBOX = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-name": "web-7d9c",
           "io.kubernetes.cri.sandbox-namespace": "shop"}
CRIO = {"io.kubernetes.container.name": "nginx", "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.cri-o.ImageName": "nginx:1", "io.kubernetes.pod.name": "web-7d9c", "io.kubernetes.pod.namespace": "shop"}
NERDCTL = {"nerdctl/name": "web", "nerdctl/ports": json.dumps(
    [{"HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": "0.0.0.0"}])}


@pytest.mark.parametrize(("annotations", "facts"), [
    (CRI, Facts("shop/web-7d9c/nginx", ("shop/web-7d9c", "web-7d9c"), "docker.io/library/nginx:1")),
    (SANDBOX, Facts("shop/web-7d9c", ("web-7d9c",))),
    (CRIO, Facts("shop/web-7d9c/nginx", ("shop/web-7d9c", "web-7d9c"), "nginx:1")),
    (NERDCTL, Facts("web", ports=(PublishedPort("0.0.0.0", 8080, 80, "tcp"),))),
    ({}, None),
])
def test_a_containerd_bundle(annotations: dict[str, str], facts: Facts | None, tmp_path: Path,
                             monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "io.containerd.runtime.v2.task" / "k8s.io" / ID
    bundle.mkdir(parents=True)
    (bundle / "config.json").write_text(json.dumps({"ociVersion": "1.0.2", "annotations": annotations}))
    monkeypatch.setattr(containers_containerd, "STATES", (str(tmp_path),))
    assert containers_containerd.facts(ID, 1) == facts


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"null", b'{"Name": 3}', b'{"Name": "/x", "Config": [], '
                                      b'"NetworkSettings": {"Ports": {"a": [1], "80/tcp": null}, "Networks": 7}}'])
def test_odd_state_files_do_not_hurt(document: bytes) -> None:
    try:
        value = quickjson.loads(document)
    except ValueError:
        return
    facts = containers_docker.parse(value)
    assert facts is None or facts == Facts("x")


def test_a_pod_is_one_name() -> None:
    def one(name: str, identity: str) -> Container:
        return Container(name, identity, "containerd", 1, 1)

    pod = [one("shop/web", "1"), one("shop/web/nginx", "2"), one("shop/web/istio", "3")]
    assert containers.joint_name(pod) == "shop/web (nginx, istio)"
    assert containers.joint_name([one("a", "1"), one("b", "2")]) == "a, b"
    assert containers.joint_name([]) is None
