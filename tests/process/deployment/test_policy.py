"""What may run in a cluster: Kubernetes' restricted profile to the letter, and a linter without a word to say."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import yaml

from tests.support import custom_resources as custom
from tests.support import policy
from tests.support.chart import VALUES, containers, pods, rendered


def _known(documents: list[dict]) -> list[dict]:
    """What the linter knows: KServe's objects as the pods that they make."""
    return [*(one for one in documents if one["kind"] not in custom.KINDS), *_of_kserve(documents)]


def _of_kserve(documents: list[dict]) -> list[dict]:
    deployed = {one["metadata"]["name"] for one in documents if one["kind"] == "Deployment"}
    return [pod for pod in pods(documents) if pod["metadata"]["name"] not in deployed]


HARMS: dict[str, Callable[[dict], object]] = {
    "privileged": lambda one: one["securityContext"].update(privileged=True, allowPrivilegeEscalation=True),
    "right": lambda one: one["securityContext"].update(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
    "root": lambda one: one["securityContext"].update(runAsNonRoot=False, runAsUser=0),
    "writable": lambda one: one["securityContext"].update(readOnlyRootFilesystem=False),
    "seccomp": lambda one: one["securityContext"].update(seccompProfile={"type": "Unconfined"}),
}


def _harmed() -> dict[str, dict]:
    """One harm in each of so many pods, and none in the last."""
    (sound, *_) = pods(rendered(None))
    harmed = {name: copy.deepcopy(sound) for name in (*HARMS, "sound")}
    for name, pod in harmed.items():
        pod["metadata"]["name"] = name
        if name in HARMS:
            HARMS[name](pod["spec"]["containers"][0])
            pod["spec"]["securityContext"] |= {"runAsNonRoot": False} if name == "root" else {}
    return harmed


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the linter says against every rendering, and against pods that were harmed."""
    renderings = {name: _known(rendered(values)) for name, values in VALUES.items()}
    return policy.findings(renderings | {"harmed": list(_harmed().values())}, tmp_path_factory.mktemp("policy"))


def test_the_linter_finds_nothing_above_low(found: dict[str, list[str]]) -> None:
    """But what is excused; and each excuse is needed."""
    told = {file: {line.split()[0] for line in lines} for file, lines in found.items() if "harmed/" not in file}
    assert told == policy.excuses()


def test_harms_are_found_by_the_linter(found: dict[str, list[str]]) -> None:
    assert {file for file in found if file.startswith("harmed/")} == {f"harmed/Pod-{name}.yaml" for name in HARMS}


def test_harms_are_found_by_the_rules_below() -> None:
    assert {name for name, pod in _harmed().items() if list(_faults(pod))} == set(HARMS)


def _faults(pod: dict) -> Iterator[str]:
    """Against the restricted profile, and what this chart holds itself to beyond it.

    Source: Kubernetes, Pod Security Standards, v1.37.
    """
    spec = pod["spec"]
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield name
    for volume in spec["volumes"]:
        (kind,) = volume.keys() - {"name"}
        if kind not in {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}:
            yield f"volume {kind}"
    if spec["automountServiceAccountToken"] is not False:
        yield "a token"
    for container in [{"name": "pod", "securityContext": spec["securityContext"]}, *containers(pod)]:
        context = container["securityContext"]
        wanted = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
        if container["name"] != "pod":
            wanted |= {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
                "privileged": None,
            }
        for name, value in wanted.items():
            if context.get(name) != value:
                yield f"{container['name']}: {name}: {context.get(name)!r}"
        if any("hostPort" in port for port in container.get("ports", ())):
            yield f"{container['name']}: a port of the host's"


@pytest.mark.parametrize("name", VALUES)
def test_every_pod_is_restricted(name: str) -> None:
    found = pods(rendered(VALUES[name]))
    assert found
    assert {pod["metadata"]["name"]: list(_faults(pod)) for pod in found} == {
        one["metadata"]["name"]: [] for one in found
    }


@pytest.mark.parametrize("name", VALUES)
def test_every_container_says_what_it_needs_and_how_much_it_may_have(name: str) -> None:
    """A limit of CPU too: the launcher derives workers and threads from it, and from a whole node without it."""
    for pod in pods(rendered(VALUES[name])):
        for container in containers(pod):
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= container["resources"][kind].keys(), container["name"]


@pytest.mark.parametrize("name", VALUES)
def test_whatever_is_written_to_is_a_volume(name: str) -> None:
    """The root is read-only, and these are the places where programs write."""
    places = {
        "server": {"/var/lib/medserve", "/tmp", "/dev/shm"},
        "kserve-container": {"/var/lib/medserve", "/tmp", "/dev/shm"},
        "plans": {"/plans", "/chosen", "/tmp"},
        "fetch": {"/models", "/tmp"},
        "envoy": {"/tmp"},
        "gateway": {"/tmp", "/audit"} if name == "gateway" else {"/tmp"},
    }
    for pod in pods(rendered(VALUES[name])):
        kinds = {one["name"]: one for one in pod["spec"]["volumes"]}
        for container in containers(pod):
            mounts = container["volumeMounts"]
            assert {one["mountPath"] for one in mounts if not one.get("readOnly")} == places[container["name"]]
            assert all(one["name"] in kinds for one in mounts)
            home = {one["name"]: one.get("value") for one in container.get("env", ())}.get("HOME", "/tmp")
            assert home == "/tmp"  # uid 10001 has none of its own
        for volume in kinds.values():
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"]  # nobody fills a node's disk


_SAID = {"MODELS", "PROFILE", "DRAIN_DELAY_S", "HOME", "ALLOW_REMOTE", "STEP_WORKERS", "REPORT_WORKERS"} | {
    "GATEWAY_SERVER", "GATEWAY_SERVER_CA", "GATEWAY_KEYS_FILE", "GATEWAY_RATE_PER_S", "GATEWAY_OIDC_ISSUER",
    "GATEWAY_OIDC_AUDIENCE",
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_nothing_holds_a_secret(name: str) -> None:
    documents = rendered(VALUES[name])
    assert not [one for one in documents if one["kind"] == "Secret"]
    text = yaml.safe_dump(copy.deepcopy(documents))
    for word in ("PRIVATE KEY", "password", "passwd", "AKIA", "access_key", "accessKey"):
        assert word not in text
    for pod in pods(documents):
        for container in containers(pod):
            for one in container.get("env", ()):
                secret = "value" not in one and "secretKeyRef" in one["valueFrom"]
                assert one["name"] in _SAID or secret or one["value"].startswith("sqlite:///"), one
