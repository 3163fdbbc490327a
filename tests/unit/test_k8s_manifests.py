"""All that is applied: against the schemas of its kinds, hardened, and pointing at what is there."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import kubernetes_validate
import pytest
import yaml
from pydantic import ValidationError

from deployments.settings import Settings
from supervisor.render import K8S, ROOT
from tests.kustomize import ALL_OVERLAYS, built, documents, groups, pods, selects, service
from tests.readme import PAGES

# The oldest that the page speaks of, and the newest whose schemas are at hand.
KUBERNETES = ("1.33", "1.37")
DOCUMENTED = yaml.safe_load((ROOT / "tests/unit/documented_fields.yaml").read_text())
MANIFESTS = [
    (f"{path.relative_to(K8S)}: {item['kind']} {item['metadata']['name']}", item)
    for path in sorted(K8S.rglob("*.yaml"))
    for item in documents(path)
    if isinstance(item, dict) and item.get("kind") not in {None, "Kustomization", "Component", "RayService"}
]
EXAMPLE = {item["metadata"]["name"]: item for item in documents(K8S / "base" / "secret.example.yaml")}
MONITORS = {item["kind"]: item["spec"] for item in documents(K8S / "monitoring" / "monitors.yaml")}
overlays = pytest.mark.parametrize("overlay", ALL_OVERLAYS)
manifests = pytest.mark.parametrize(("name", "manifest"), MANIFESTS, ids=[name for name, _ in MANIFESTS])


class Loader(yaml.SafeLoader):
    """Reads times as strings, which they are to Kubernetes."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@pytest.mark.parametrize(
    "folder",
    [*(f"overlays/{overlay}" for overlay in ALL_OVERLAYS), "gateway", "restore", "components/postgres-restored"],
)
def test_kustomize_builds_what_these_tests_judge(folder: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed: the folders were merged by these tests alone")
    command = [kubectl, "kustomize", str(K8S / folder)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert {(one["kind"], one["metadata"]["name"]): one for one in yaml.load_all(output, Loader)} == built(folder)


def undocumented(fields: Any, tree: Any, place: str) -> Iterator[str]:
    # In a patch null takes a field away.
    if fields == "any" or tree is None:
        return
    for item in tree if isinstance(tree, list) else [tree]:
        for key, value in item.items():
            if key in fields:
                yield from undocumented(fields[key], value, f"{place}.{key}")
            else:
                yield f"{place}.{key}"


def faults(manifest: dict[str, Any]) -> list[str]:
    """What a strict API server would say."""
    if fields := DOCUMENTED.get(manifest["kind"]):
        known = {"apiVersion": "any", "kind": "any", "metadata": "any", "spec": fields["spec"]}
        version = [] if manifest["apiVersion"] == fields["apiVersion"] else [manifest["apiVersion"]]
        return [*version, *undocumented(known, manifest, manifest["kind"])]
    found = []
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{version}: {error}")
    return found


@manifests
def test_a_manifest_has_the_fields_of_its_kind_alone(name: str, manifest: dict[str, Any]) -> None:
    assert faults(manifest) == []


@pytest.mark.parametrize("kind", sorted({item["kind"] for _, item in MANIFESTS} - {"Secret"}))
def test_a_misspelt_field_is_found_in_every_kind(kind: str) -> None:
    manifest = copy.deepcopy(next(item for _, item in MANIFESTS if item["kind"] == kind))
    manifest["spec"]["selectr"] = {}
    assert any("selectr" in fault for fault in faults(manifest))


@overlays
def test_every_container_meets_the_restricted_profile_on_a_root_that_it_cannot_write_to(overlay: str) -> None:
    autoscaler = service(overlay)["spec"]["rayClusterConfig"]["autoscalerOptions"]
    head, *others = pods(built(f"overlays/{overlay}"))
    # KubeRay makes the autoscaler's container in the head's pod, and gives its waiting container what the worker's has.
    for pod in [{**head, "containers": [*head["containers"], {"image": "ours:1", **autoscaler}]}, *others]:
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        volumes = {one["name"]: one for one in pod.get("volumes", ())}
        assert all("emptyDir" in one for one in volumes.values())
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert re.fullmatch(r"[^:@]+:[^:]*\d[^:]*", container["image"])
            mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
            assert mounted.keys() <= volumes.keys() | {"data"}
            assert {"/tmp", "/data"} & set(mounted.values())


@overlays
def test_our_image_is_pulled_with_the_secret_of_the_registry(overlay: str) -> None:
    # Not by a service account: KubeRay makes one for each head.
    asking = [pod for pod in pods(built(f"overlays/{overlay}")) if "murmuration" in pod["containers"][0]["image"]]
    assert len(asking) == len(groups(overlay)) + 1
    assert all(pod["imagePullSecrets"] == [{"name": "registry"}] for pod in asking)


@overlays
def test_objects_in_memory_fit_the_memory_that_they_are_kept_in(overlay: str) -> None:
    for group in groups(overlay):
        (volume,) = (one for one in group["template"]["spec"]["volumes"] if one["name"] == "shared-mem")
        assert volume["emptyDir"]["medium"] == "Memory"
        size = int(volume["emptyDir"]["sizeLimit"].removesuffix("Mi")) * 2**20
        assert int(group["rayStartParams"]["object-store-memory"]) < size


@overlays
def test_memory_is_requested_in_full_and_cpu_is_not_limited(overlay: str) -> None:
    autoscaler = service(overlay)["spec"]["rayClusterConfig"]["autoscalerOptions"]
    postgres = built(f"overlays/{overlay}")["Cluster", "murmuration-postgres"]["spec"]
    ours = [container for pod in pods(built(f"overlays/{overlay}")) for container in pod["containers"]]
    for container in [autoscaler, postgres, *ours]:
        resources = container["resources"]
        assert resources["requests"]["memory"] == resources["limits"]["memory"]
        assert "cpu" in resources["requests"]
        assert "cpu" not in resources["limits"]


def references(tree: Any) -> Iterator[tuple[str, str]]:
    """Name and key of each secret that a manifest reads."""
    if isinstance(tree, list):
        for item in tree:
            yield from references(item)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if key in {"secretKeyRef", "credentials", "accessKeyId", "secretAccessKey"}:
                yield value["name"], value["key"]
            elif key == "secret":
                yield from ((value["name"], one) for one in ("username", "password"))
            else:
                yield from references(value)


def test_every_secret_that_is_read_stands_in_the_example() -> None:
    read = set(references([item for _, item in MANIFESTS if item["kind"] != "Secret"]))
    for overlay in ALL_OVERLAYS:
        read |= set(references(service(overlay)))
        read.add((service(overlay)["spec"]["rayClusterConfig"]["authOptions"]["secretName"], "auth_token"))
    assert read == {(name, key) for name, item in EXAMPLE.items() for key in item["stringData"]}


def test_the_example_secret_is_never_applied_and_holds_nothing_that_works() -> None:
    for path in K8S.rglob("kustomization.yaml"):
        assert not {one for one in documents(path)[0].get("resources", ()) if "secret" in one}
    keys, username, *addresses = [value for item in EXAMPLE.values() for value in item["stringData"].values() if value]
    with pytest.raises(ValidationError, match="no example's"):
        Settings.model_validate_json(f'{{"murmuration_api_keys": {keys}}}')
    assert username == "murmuration"
    assert len(addresses) == 2
    assert all("PASSWORD@HOST" in address for address in addresses)


@overlays
def test_services_and_budgets_find_the_pods_that_they_name(overlay: str) -> None:
    made = built(f"overlays/{overlay}")
    owners = [item["spec"] for item in made.values() if item["kind"] in {"Deployment", "StatefulSet"}]
    labels = [one["template"]["metadata"]["labels"] for one in owners]
    for group in groups(overlay):
        given = {"ray.io/node-type": "worker", "ray.io/group": group.get("groupName")}
        labels.append(group["template"]["metadata"]["labels"] | given)
    for (kind, name), item in made.items():
        if kind in {"Service", "PodDisruptionBudget"}:
            selector = item["spec"]["selector"] if kind == "Service" else item["spec"]["selector"]["matchLabels"]
            assert any(selector.items() <= one.items() for one in labels), name
    address = service(overlay)["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"]["redisAddress"]
    assert ("Service", address.removesuffix(":6379")) in made


def test_backups_are_made_of_the_cluster_and_restored_from_where_they_went() -> None:
    made = built("overlays/cpu")
    cluster = made["Cluster", "murmuration-postgres"]
    restored = built("restore")["Cluster", "murmuration-postgres-restored"]["spec"]
    archive = cluster["spec"]["plugins"][0]
    assert archive["isWALArchiver"] is True
    assert ("ObjectStore", archive["parameters"]["barmanObjectName"]) in made
    backup = made["ScheduledBackup", "murmuration-nightly"]["spec"]
    assert backup["cluster"]["name"] == cluster["metadata"]["name"]
    assert backup["pluginConfiguration"]["name"] == archive["name"]
    (source,) = restored["externalClusters"]
    assert source["name"] == restored["bootstrap"]["recovery"]["source"]
    assert source["plugin"]["parameters"] == archive["parameters"] | {"serverName": cluster["metadata"]["name"]}
    # The same otherwise, but that it archives nothing: its second exercise would find the archive of the first.
    differs = {"bootstrap", "externalClusters", "plugins"}
    assert restored.keys() == cluster["spec"].keys() - {"plugins"} | {"externalClusters"}
    assert {key: restored[key] for key in restored.keys() - differs} == {
        key: cluster["spec"][key] for key in cluster["spec"].keys() - differs
    }


def test_what_is_made_anew_from_the_bucket_is_the_same_and_archives_under_another_name() -> None:
    lost, anew = built("components/postgres"), built("components/postgres-restored")
    name = "Cluster", "murmuration-postgres"
    assert {key: item for key, item in anew.items() if key != name} == {
        key: item for key, item in lost.items() if key != name
    }
    before, after = lost[name]["spec"], anew[name]["spec"]
    assert {key: after[key] for key in after if key not in {"bootstrap", "plugins", "externalClusters"}} == {
        key: before[key] for key in before if key not in {"bootstrap", "plugins"}
    }
    (recovery,) = after["bootstrap"].values()
    (source,) = after["externalClusters"]
    assert source["name"] == recovery["source"]
    assert {key: recovery[key] for key in before["bootstrap"]["initdb"]} == before["bootstrap"]["initdb"]
    (archive,) = after["plugins"]
    told, read = archive["parameters"], source["plugin"]["parameters"]
    assert read == before["plugins"][0]["parameters"] | {"serverName": name[1]}
    assert archive | {"parameters": told | {"serverName": None}} == before["plugins"][0] | {
        "parameters": before["plugins"][0]["parameters"] | {"serverName": None}
    }
    assert told["serverName"] not in {read["serverName"], None}


@overlays
def test_prometheus_scrapes_the_pods_and_the_service_that_there_are(overlay: str) -> None:
    labels = groups(overlay)[0]["template"]["metadata"]["labels"]
    assert MONITORS["PodMonitor"]["selector"]["matchLabels"] == labels
    named = {one["name"] for group in groups(overlay) for one in group["template"]["spec"]["containers"][0]["ports"]}
    scraped = {endpoint["port"] for endpoint in MONITORS["PodMonitor"]["podMetricsEndpoints"]}
    assert scraped == {"metrics", "as-metrics", "dash-metrics", "haproxy"}
    assert scraped <= named
    # So KubeRay labels the service of replicas, by the name of the RayService or of a RayCluster, and that of the head.
    name = service(overlay)["metadata"]["name"] + ("-x7k2p" if overlay == "incremental" else "")
    made = {"ray.io/originated-from-cr-name": name, "ray.io/originated-from-crd": "RayService"}
    selector = MONITORS["ServiceMonitor"]["selector"]
    assert selects(selector, made | {"ray.io/serve": f"{name}-serve"})
    assert not selects(selector, made | {"ray.io/node-type": "head"})


def test_prometheus_scrapes_every_postgres_that_its_policy_lets_it_reach() -> None:
    monitor, _ = documents(K8S / "monitoring" / "postgres.yaml")
    policy = built("components/postgres")["NetworkPolicy", "postgres"]["spec"]
    assert monitor["spec"]["selector"] == policy["podSelector"]
    # CloudNativePG names its port 9187 so.
    assert [endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]] == ["metrics"]


@overlays
def test_a_head_that_lists_its_ports_lists_all_that_its_service_has_by_itself(overlay: str) -> None:
    listed = groups(overlay)[0]["template"]["spec"]["containers"][0]["ports"]
    ports = {(one["name"], one["containerPort"]) for one in listed}
    assert ports >= {("gcs-server", 6379), ("dashboard", 8265), ("client", 10001), ("serve", 8000), ("metrics", 8080)}


def test_the_route_leads_to_the_service_that_kuberay_makes() -> None:
    gateway, route = built("gateway")["Gateway", "murmuration"], built("gateway")["HTTPRoute", "murmuration"]
    (parent,) = route["spec"]["parentRefs"]
    assert parent == {"name": gateway["metadata"]["name"], "namespace": gateway["metadata"]["namespace"]}
    (rule,) = route["spec"]["rules"]
    assert rule["backendRefs"] == [{"name": f"{service('cpu')['metadata']['name']}-serve-svc", "port": 8000}]
    assert gateway["spec"]["listeners"][0]["hostname"] in route["spec"]["hostnames"]
    served = yaml.safe_load(service("cpu")["spec"]["serveConfigV2"])
    assert rule["timeouts"]["request"] == f"{served['http_options']['request_timeout_s']}s"


def test_the_operator_gets_the_rules_that_the_file_holds_and_grafana_the_dashboard() -> None:
    folder = K8S / "monitoring"
    (rule,) = documents(folder / "prometheusrule.yaml")
    assert rule["spec"] == documents(folder / "rules.yaml")[0]
    kustomization = documents(folder / "kustomization.yaml")[0]
    files = {one.rpartition("=")[2] for one in kustomization["configMapGenerator"][0]["files"]}
    assert all((folder / name).exists() for name in {*files, *kustomization["resources"]})


def test_the_page_applies_what_there_is_and_makes_every_secret_with_its_keys() -> None:
    page = PAGES["docs/kubernetes.md"]
    applied = set(re.findall(r"kubectl (?:apply|delete|kustomize) -k ([\w/-]+)", page))
    assert {folder for folder in applied if not (ROOT / folder / "kustomization.yaml").exists()} == set()
    assert {f"k8s/{name}" for name in ("gateway", "monitoring", "restore", "overlays/cpu")} <= applied
    made: dict[str, set[str]] = {}
    for command in re.findall(r"kubectl create secret generic (.+)", page.replace("\\\n", " ")):
        made.setdefault(command.split()[0], set()).update(re.findall(r"--from-literal=(\w+)=", command))
    needed = {name: set(item["stringData"]) for name, item in EXAMPLE.items()}
    needed["murmuration"] = {"MURMURATION_API_KEYS"}
    assert made == needed
    # Istio names the Service of a Gateway so; the second Gateway is KubeRay's.
    kind = built("gateway")["Gateway", "murmuration"]["spec"]["gatewayClassName"]
    assert kind == service("incremental")["spec"]["upgradeStrategy"]["clusterUpgradeOptions"]["gatewayClassName"]
    assert f"kubectl patch service murmuration-{kind} " in page
    assert f"murmuration-gateway-{kind}, port: 80" in page
    # The Service of replicas is named after its cluster where upgrades are incremental.
    assert "port-forward service/murmuration-serve-svc" not in page
    for version in ("1.7.0", "cnpg-1.30.", "v0.16.", "gateway-api/releases/download/v1.4."):
        assert version in page


def test_an_overlay_of_ones_own_is_built_as_the_page_writes_it(tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed: the overlay of the page was not built")
    (block,) = re.findall(r"```yaml\n(  # k8s/overlays/.*?)```", PAGES["docs/kubernetes.md"], re.DOTALL)
    shutil.copytree(K8S, tmp_path / "k8s")
    folder = tmp_path / "k8s" / "overlays" / "ours"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(block)
    output = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=True, timeout=60)
    (cluster,) = (one for one in yaml.load_all(output.stdout, Loader) if one["kind"] == "Cluster")
    assert cluster["spec"]["storage"] == {"size": "100Gi", "storageClass": "fast"}
    assert cluster["spec"]["instances"] == built("overlays/cpu")["Cluster", "murmuration-postgres"]["spec"]["instances"]
    assert faults(cluster) == []


def quantity(text: str) -> float:
    """CPUs, or GiB of memory."""
    units = {"m": 1e-3, "Mi": 2**-10, "Gi": 1.0}
    unit = next((unit for unit in units if text.endswith(unit)), "")
    return float(text.removesuffix(unit)) * units.get(unit, 1.0)


def test_the_page_says_how_much_room_the_smallest_cluster_asks_for() -> None:
    made = built("overlays/cpu")
    ray = made["RayService", "murmuration"]["spec"]["rayClusterConfig"]
    asked = [ray["autoscalerOptions"], *ray["headGroupSpec"]["template"]["spec"]["containers"]]
    for group in ray["workerGroupSpecs"]:
        asked += group["minReplicas"] * group["template"]["spec"]["containers"]
    for name in (("Deployment", "murmuration-cache"), ("StatefulSet", "gcs-redis")):
        asked += made[name]["spec"]["replicas"] * made[name]["spec"]["template"]["spec"]["containers"]
    postgres = made["Cluster", "murmuration-postgres"]["spec"]
    sidecar = made["ObjectStore", "murmuration-backup"]["spec"]["instanceSidecarConfiguration"]
    asked += postgres["instances"] * [postgres, sidecar]
    cpus, gib = (sum(quantity(one["resources"]["requests"][key]) for one in asked) for key in ("cpu", "memory"))
    assert f"{cpus:.0f} CPUs and {gib:.0f} GiB for overlay `cpu`" in " ".join(PAGES["docs/kubernetes.md"].split())
