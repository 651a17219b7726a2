"""What the chart's objects say of each other: who drains, calls, scales; where plans and models come from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from server.triton import DRAIN_TIMEOUT_S, READY_TIMEOUT_S
from tests.support.chart import CHART, VALUES, kinds, pods, rendered
from tests.support.proxy import configuration


def _servers(values: Path | None, *more: str) -> dict[str, dict]:
    """Pods of servers, by class."""
    found = {pod["metadata"].get("labels", {}).get("medserve/class"): pod for pod in pods(rendered(values, *more))}
    return {name: pod for name, pod in found.items() if name}


def test_a_server_is_drained_before_it_is_killed() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    assert values["drain"]["exitSeconds"] == DRAIN_TIMEOUT_S
    for pod in [*_servers(None).values(), *pods(rendered(VALUES["kserve"]))]:
        server = pod["spec"]["containers"][0]
        delay = next(float(one["value"]) for one in server["env"] if one["name"] == "DRAIN_DELAY_S")
        ready = server["readinessProbe"]
        assert (
            delay > ready["periodSeconds"] * ready["failureThreshold"]
        )  # balancers hear of it before calls are refused
        assert pod["spec"]["terminationGracePeriodSeconds"] >= delay + DRAIN_TIMEOUT_S + 5


@pytest.mark.parametrize("name", VALUES)
def test_probes_ask_the_launcher(name: str) -> None:
    for pod in pods(rendered(VALUES[name])):
        for container in pod["spec"]["containers"]:
            if container["name"] not in ("envoy", "gateway"):
                startup = container["startupProbe"]
                assert startup["httpGet"] == {"path": "/ready", "port": 8003}
                assert startup["periodSeconds"] * startup["failureThreshold"] > READY_TIMEOUT_S
                assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": 8003}
                assert container["livenessProbe"]["httpGet"] == {"path": "/live", "port": 8003}


def test_plans_are_built_where_they_are_served_and_each_class_has_its_own() -> None:
    servers = _servers(VALUES["gpu"])
    for name in ("l4", "h100"):
        spec = servers[name]["spec"]
        (build,), (server,) = spec["initContainers"], spec["containers"]
        place = f"/plans/medserve-{name}"
        assert build["image"] == server["image"]  # what builds a plan is what loads it
        assert build["args"] == ["engines", "--repository", "/models", "--into", place, "--link", "/chosen/models"]
        assert server["args"] == ["--repository", "/chosen/models"]
        assert build["resources"]["limits"]["nvidia.com/gpu"] == server["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert next(one for one in server["volumeMounts"] if one["name"] == "plans")["readOnly"] is True
        assert [one for one in build["env"] if one["name"] == "MODELS"] == [
            one for one in server["env"] if one["name"] == "MODELS"
        ]
    assert "initContainers" not in _servers(None)["cpu"]["spec"]


def test_plans_of_an_upgrade_are_built_ahead_where_that_is_wanted() -> None:
    documents = rendered(VALUES["gpu"])
    (job,) = kinds(documents, "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
    spec, server = job["spec"]["template"]["spec"], _servers(VALUES["gpu"])["l4"]["spec"]
    (build,), (own,) = spec["containers"], server["initContainers"]
    assert build == own
    assert {name: spec[name] for name in ("nodeSelector", "tolerations")} == {
        name: server[name] for name in ("nodeSelector", "tolerations")
    }
    assert {one["name"] for one in spec["volumes"]} >= {mount["name"] for mount in build["volumeMounts"]}
    labels = job["spec"]["template"]["metadata"]["labels"]
    for service in kinds(documents, "Service"):  # no call is sent to it
        assert not service["spec"]["selector"].items() <= labels.items()


def _environment(pod: dict) -> dict[str, str]:
    return {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}


def test_a_class_on_gpus_never_serves_on_the_cpu() -> None:
    """Its profile is named: "auto" means the CPU where the driver does not answer, and the launcher refuses instead."""
    profiles = {name: _environment(pod)["PROFILE"] for name, pod in _servers(VALUES["gpu"]).items()}
    assert profiles == {"l4": "tensorrt", "h100": "tensorrt", "canary": "cuda", "candidate": "cuda"}
    assert _environment(_servers(None)["cpu"])["PROFILE"] == "auto"
    given = _servers(VALUES["gpu"], "--set", "classes.l4.profile=cuda")
    assert _environment(given["l4"])["PROFILE"] == "cuda"


def test_a_class_sets_what_its_server_gets() -> None:
    node = '{"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}'
    pod = _servers(
        None,
        *("--set-string", "classes.cpu.environment.STEP_WORKERS=48", "--set", "classes.cpu.arguments={--verbose}"),
        *("--set", "classes.cpu.sharedMemory=4Gi", "--set-json", f"classes.cpu.affinity.nodeAffinity={node}"),
    )["cpu"]
    assert _environment(pod)["STEP_WORKERS"] == "48"
    assert pod["spec"]["containers"][0]["args"] == ["--repository", "/models", "--verbose"]
    (memory,) = [one["emptyDir"] for one in pod["spec"]["volumes"] if one["name"] == "shm"]
    assert memory == {"medium": "Memory", "sizeLimit": "4Gi"}
    assert list(pod["spec"]["affinity"]) == ["nodeAffinity"]
    assert pod["spec"]["topologySpreadConstraints"]
    plain = _servers(None)["cpu"]["spec"]
    assert list(plain["affinity"]) == ["podAntiAffinity"]


@pytest.mark.parametrize("name", ["PROFILE", "MODELS", "HTTP_PORT", "lower"])
def test_a_class_cannot_change_what_the_chart_decides(name: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        rendered(None, "--set-string", f"classes.cpu.environment.{name}=1")


def test_a_class_may_have_models_of_its_own() -> None:
    """And then nothing of the release's."""
    servers = _servers(VALUES["gpu"], "--set", "repository.subPath=v1")
    volumes = {name: pod["spec"]["volumes"][0] for name, pod in servers.items()}
    assert volumes["l4"]["persistentVolumeClaim"] == {"claimName": "medserve-models", "readOnly": True}
    assert volumes["canary"]["emptyDir"] == volumes["candidate"]["emptyDir"] == {"sizeLimit": "8Gi"}
    mounts = {name: pod["spec"]["containers"][0]["volumeMounts"][0] for name, pod in servers.items()}
    assert mounts["l4"]["subPath"] == servers["l4"]["spec"]["initContainers"][0]["volumeMounts"][0]["subPath"] == "v1"
    assert "subPath" not in mounts["canary"]

    (oci,) = servers["canary"]["spec"]["initContainers"]
    assert oci["args"][:2] == ["pull", f"registry.example/medserve/models@sha256:{'0' * 64}"]
    assert oci["args"][-2:] == ["--registry-config", "/registry/.dockerconfigjson"]
    assert "envFrom" not in oci  # a registry's credentials are a file
    (s3,) = servers["candidate"]["spec"]["initContainers"]
    assert s3["args"] == ["copy", ":s3:medserve/candidate", "/models", "--checksum"]
    assert s3["envFrom"] == [{"secretRef": {"name": "models-reader"}}]

    claimed = ["--set", "repository.uri=s3://general/models", "--set", "classes.cpu.repository.claim=own"]
    (volume, *_) = _servers(None, *claimed)["cpu"]["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == "own"


def test_gpus_go_where_they_are_asked_for() -> None:
    (slice_,) = _servers(VALUES["mig"]).values()
    assert slice_["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == "1"
    assert slice_["spec"]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    gpu = _servers(VALUES["gpu"])
    assert gpu["canary"]["spec"]["runtimeClassName"] == "nvidia"
    assert all(pod["spec"]["containers"][0]["image"] == "medserve-gpu:0.1.0" for pod in gpu.values())
    (cpu,) = _servers(None).values()
    assert not any(name.startswith("nvidia") for name in cpu["spec"]["containers"][0]["resources"]["limits"])
    assert cpu["spec"]["containers"][0]["image"] == "medserve-cpu:0.1.0"
    assert cpu["spec"]["nodeSelector"] == {"kubernetes.io/arch": "amd64"}


@pytest.mark.parametrize("name", VALUES)
def test_selectors_select_what_they_are_for(name: str) -> None:
    """Every Service, budget and policy finds pods; a Deployment finds its own alone."""
    documents = rendered(VALUES[name])
    labels = {pod["metadata"]["name"]: pod["metadata"].get("labels", {}) for pod in pods(documents)}
    for service in kinds(documents, "InferenceService"):  # KServe's own label
        labels[service["metadata"]["name"]] = {"serving.kserve.io/inferenceservice": service["metadata"]["name"]}

    def found(selector: dict) -> set[str]:
        for rule in selector.get("matchExpressions", ()):
            assert rule["operator"] == "In"
            return {pod for pod, own in labels.items() if own.get(rule["key"]) in rule["values"]}
        wanted = selector["matchLabels"].items()
        return {pod for pod, own in labels.items() if wanted <= own.items()}

    for one in documents:
        spec = one.get("spec", {})
        if one["kind"] in ("Deployment", "PodDisruptionBudget"):
            assert found(spec["selector"]) == {one["metadata"]["name"]}
        elif one["kind"] == "Service":
            assert len(found({"matchLabels": spec["selector"]})) == 1
        elif one["kind"] == "NetworkPolicy":
            assert found(spec["podSelector"])
    budgets = {pod for one in kinds(documents, "PodDisruptionBudget") for pod in found(one["spec"]["selector"])}
    policies = {pod for one in kinds(documents, "NetworkPolicy") for pod in found(one["spec"]["podSelector"])}
    assert budgets == policies == set(labels)


def test_no_drained_node_waits_for_ever() -> None:
    for one in kinds(rendered(VALUES["gpu"]), "PodDisruptionBudget"):
        assert one["spec"]["maxUnavailable"] == 1
        assert one["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@pytest.mark.parametrize("name", VALUES)
def test_pods_stay_apart_where_they_can(name: str) -> None:
    for pod in pods(rendered(VALUES[name])):
        (wish,) = pod["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        (spread,) = pod["spec"]["topologySpreadConstraints"]
        assert wish["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
        assert wish["podAffinityTerm"]["labelSelector"] == spread["labelSelector"]
        if own := pod["metadata"].get("labels"):
            assert spread["labelSelector"]["matchLabels"].items() <= own.items()


def _policies(values: Path | None, *more: str) -> dict[str, dict]:
    return {one["metadata"]["name"]: one["spec"] for one in kinds(rendered(values, *more), "NetworkPolicy")}


def _ports(rule: dict) -> set[int]:
    return {one["port"] for one in rule["ports"]}


def test_who_may_call_whom() -> None:
    policies = _policies(None)
    server, proxy = policies["medserve"], policies["medserve-proxy"]
    calls, metrics = server["ingress"]
    (peer,) = calls["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "proxy"
    assert _ports(calls) == {8000, 8001, 8003}
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    assert _ports(metrics) == {8002, 8003}
    assert server["egress"] == []
    (callers,) = proxy["ingress"]
    assert callers["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}]
    assert _ports(callers) == {8001}
    servers, names = proxy["egress"]
    assert servers["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "server"
    assert _ports(servers) == {8000, 8001, 8003}
    assert _ports(names) == {53}


def test_nobody_named_is_nobody_and_not_everybody() -> None:
    """An ingress rule without `from`, or with an empty one, lets everybody in."""
    nobody = ["--set-json", "networkPolicy.callers=[]", "--set-json", "networkPolicy.prometheus=[]"]
    for values in (None, VALUES["kserve"]):
        for spec in _policies(values, *nobody).values():
            assert "Ingress" in spec["policyTypes"]
            assert all(rule["from"] for rule in spec.get("ingress") or ())
    assert "ingress" not in _policies(None, *nobody)["medserve-proxy"]
    assert _policies(VALUES["kserve"], *nobody)["medserve"]["ingress"] is None


def test_only_what_fetches_may_call_out() -> None:
    names, sources = _policies(VALUES["gpu"])["medserve"]["egress"]
    assert _ports(names) == {53}
    assert _ports(sources) == {443}
    other = ["--set", "repository.uri=s3://models/v1", "--set", "networkPolicy.sourcePorts={9000}"]
    _, sources = _policies(None, *other)["medserve"]["egress"]
    assert _ports(sources) == {9000}


def test_whoever_scales_is_not_overruled() -> None:
    """A number in a Deployment would be set again at each upgrade; who is not scaled has one."""
    documents = rendered(VALUES["gpu"])
    scaled = {one["spec"]["scaleTargetRef"]["name"]: one["spec"] for one in kinds(documents, "ScaledObject")}
    replicas = {one["metadata"]["name"]: one["spec"].get("replicas") for one in kinds(documents, "Deployment")}
    assert scaled.keys() == {"medserve-l4", "medserve-h100"}
    assert {name for name, count in replicas.items() if count is None} == scaled.keys()
    assert replicas["medserve-canary"] == replicas["medserve-candidate"] == 1
    assert (scaled["medserve-l4"]["minReplicaCount"], scaled["medserve-l4"]["maxReplicaCount"]) == (2, 8)
    assert (scaled["medserve-h100"]["minReplicaCount"], scaled["medserve-h100"]["maxReplicaCount"]) == (1, 2)
    assert replicas["medserve-proxy"] == replicas["medserve-gateway"] == 2
    for spec in scaled.values():
        for trigger in spec["triggers"]:
            assert trigger["type"] == "prometheus"
            assert trigger.get("metricType", "AverageValue") == "AverageValue"  # KEDA falls back for no other
            assert trigger["metadata"]["ignoreNullValues"] == "false"  # nothing scraped is not nothing to do


def test_a_class_without_a_replica_is_not_scaled() -> None:
    of = ["--set", "classes.h100.replicas=0"]
    documents = rendered(VALUES["gpu"], *of)
    assert {one["metadata"]["name"] for one in kinds(documents, "ScaledObject")} == {"medserve-l4"}
    (h100,) = [one for one in kinds(documents, "Deployment") if one["metadata"]["name"] == "medserve-h100"]
    assert h100["spec"]["replicas"] == 0


def _service(documents: list[dict]) -> dict:
    (service,) = [one for one in kinds(documents, "Service") if one["metadata"]["name"] == "medserve"]
    (port,) = service["spec"]["ports"]
    return port


def test_an_ingress_is_told_which_protocol_the_proxy_speaks() -> None:
    assert _service(rendered(None))["appProtocol"] == "kubernetes.io/h2c"
    assert _service(rendered(VALUES["gpu"]))["appProtocol"] == "https"


def test_calls_are_shared_by_weights_and_copied_to_shadows() -> None:
    own = yaml.safe_load(configuration(VALUES["gpu"])["envoy.yaml"])
    manager = own["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    routes = {str(one["match"]): one.get("route") for one in manager["route_config"]["virtual_hosts"][0]["routes"]}
    assert len(routes) == 3
    for port, route in zip(("grpc", "http"), filter(None, routes.values()), strict=True):
        assert {one["name"]: one["weight"] for one in route["weighted_clusters"]["clusters"]} == {
            f"canary-{port}-or-others": 5,
            f"h100-{port}-or-others": 35,
            f"l4-{port}-or-others": 60,
        }
        (mirror,) = route["request_mirror_policies"]
        assert mirror["cluster"] == f"candidate-{port}"
        assert mirror["runtime_fraction"]["default_value"] == {"numerator": 10, "denominator": "HUNDRED"}
    clusters = {one["name"]: one for one in own["static_resources"]["clusters"]}
    behind = {name: one["cluster_type"]["typed_config"].get("clusters") for name, one in clusters.items()}
    assert behind["canary-grpc-or-others"] == ["canary-grpc", "h100-grpc", "l4-grpc"]
    assert behind["l4-grpc-or-others"] == ["l4-grpc", "h100-grpc"]
    assert "candidate-grpc-or-others" not in behind
