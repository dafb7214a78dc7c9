"""deploy.sh on Kubernetes, against recording stand-ins of kubectl, nuctl and docker."""

import json
import os
import re
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from promptable.cli.deploy import command
from promptable.deploy.platforms.context import pinned
from promptable.deploy.platforms.kubernetes import Kubernetes
from promptable.deploy.rollout import starting
from tests.deploy.conftest import FUNCTIONS, Answering
from tests.deploy.machine import Machine, repository_with

KUBE = ("--platform", "kube", "--registry", "registry.example.com/cvat")


@pytest.fixture
def cluster(machine: Machine) -> Machine:
    """A cluster with CVAT, Nuclio and a GPU; kubectl forwards to the answering functions."""
    machine.answer("docker ps", "")
    for port, function in zip(machine.ports, FUNCTIONS, strict=True):
        machine.answer(f"kubectl .*port-forward .*service/nuclio-{function} ", str(port))
    return machine


def _spec(machine: Machine) -> Any:
    (deployed,) = machine.deployed()
    return deployed["spec"]


def test_images_are_pushed_deployed_and_called_through_a_forwarded_port(cluster: Machine) -> None:
    outcome = cluster.start("sam-interactor", *KUBE)
    assert outcome.status == 0, outcome.err
    image = "registry.example.com/cvat/promptable-sam-interactor:gpu-0123456789ab"
    assert cluster.calls("docker push") == [f"docker push {image}"]
    (deploy,) = cluster.calls("nuctl deploy")
    assert deploy.endswith(f"--run-image {image} --platform kube --namespace cvat")
    assert cluster.calls("kubectl --namespace cvat port-forward") == [
        "kubectl --namespace cvat port-forward --address 127.0.0.1 service/nuclio-sam-interactor :8080"
    ]
    assert "cluster: the-cluster" in outcome.out


def test_the_forwarded_port_closes_with_the_call(
    cluster: Machine, answering: tuple[Answering, ...], tmp_path: Path
) -> None:
    assert cluster.start(*KUBE).status == 0
    assert [len(server.bodies) for server in answering] == [2, 2, 2]
    processes = [int(line) for line in (tmp_path / "forwarding").read_text().split()]
    assert len(processes) == 3
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_a_port_that_cannot_be_forwarded_is_a_failure(cluster: Machine, answering: tuple[Answering, ...]) -> None:
    cluster.answer("kubectl .*port-forward", err="error: unable to forward port", status=1)
    outcome = cluster.start("sam2-tracker", *KUBE)
    assert outcome.status == 1
    assert "no port could be forwarded to sam2-tracker: error: unable to forward port" in outcome.err
    assert answering[2].bodies == []


@pytest.mark.parametrize(
    ("arguments", "requests"),
    [
        (("grounding-dino",), {"cpu": "1", "memory": "6Gi"}),
        (("sam-interactor", "--cpu"), {"cpu": "1", "memory": "5Gi"}),
        (("sam2-tracker", "--model", "sam2.1-tiny"), {"cpu": "1", "memory": "9Gi"}),
    ],
)
def test_a_pod_asks_for_what_its_models_need(
    cluster: Machine, arguments: tuple[str, ...], requests: dict[str, str]
) -> None:
    cluster.start(*arguments, *KUBE)
    assert _spec(cluster)["resources"]["requests"] == requests
    assert _spec(cluster)["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize(
    ("counts", "replicas", "how"),
    [
        ("4/4/3/3/2", "1:3", "unchanged"),
        ("4/4/3/3/2", "3", "not healthy"),
        ("4/4/3/2/2", "1:3", "not healthy"),
        ("5/4/3/3/2", "1:3", "not healthy"),
        ("4/4/1/1/", "1:3", "not healthy"),
    ],
    ids=["fewer than are wanted", "fewer than asked for", "pods of before", "another version", "none"],
)
def test_replicas_that_only_the_autoscaler_wants_may_lack_a_place(
    cluster: Machine, counts: str, replicas: str, how: str
) -> None:
    """The same command again leaves those alone that answer; Nuclio calls the function unhealthy meanwhile."""
    command = ("sam-interactor", *KUBE, "--replicas", replicas)
    cluster.answer("nuctl deploy", state="unhealthy")
    assert cluster.start(*command).status == 0
    cluster.answer("kubectl .*rollout status", err="error: timed out waiting for the condition", status=1)
    cluster.answer("kubectl .*get deployment/nuclio-sam-interactor", counts)
    outcome = cluster.start(*command)
    assert how in outcome.out + outcome.err
    assert (cluster.calls("nuctl deploy") == []) is (how == "unchanged")


def test_a_function_whose_address_nuclio_has_forgotten_is_deployed_again(cluster: Machine, tmp_path: Path) -> None:
    """As after a deployment that found no place: once it gets one Nuclio says ready, and CVAT's calls fail."""
    cluster.start("sam-interactor", *KUBE)
    (stored,) = tmp_path.rglob("nuclio.sam-interactor")
    stored.write_text(re.sub("  internalInvocationUrls.*\n", "", stored.read_text()))
    assert cluster.start("sam-interactor", *KUBE).status == 0
    assert len(cluster.calls("nuctl deploy")) == 1
    assert "unchanged" in cluster.start("sam-interactor", *KUBE).out


def test_no_port_of_a_node_and_no_path_of_a_host(cluster: Machine) -> None:
    cluster.start("sam2-tracker", *KUBE, "--weights-pvc", "weights")
    spec = _spec(cluster)
    attributes = spec["triggers"]["http"]["attributes"]
    assert "port" not in attributes
    assert attributes["serviceType"] == "ClusterIP"
    assert "hostPath" not in json.dumps(spec)
    assert spec["volumes"] == [
        {
            "volume": {"name": "weights", "persistentVolumeClaim": {"claimName": "weights", "readOnly": True}},
            "volumeMount": {"name": "weights", "mountPath": "/opt/promptable/weights", "readOnly": True},
        }
    ]
    assert "--build-arg MODELS= " in cluster.calls("docker build ")[1] + " "
    security = spec["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}


def test_scheduling_flags(cluster: Machine) -> None:
    cluster.start(
        *("sam-interactor", *KUBE, "--replicas", "1:3", "--pull-secret", "regcred"),
        *(
            "--node-selector",
            "gpu=a100,zone=b",
            "--toleration",
            "nvidia.com/gpu:NoSchedule",
            "--toleration",
            "team=cvat",
        ),
    )
    spec = _spec(cluster)
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 3)
    assert spec["nodeSelector"] == {"gpu": "a100", "zone": "b"}
    assert spec["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "team", "operator": "Equal", "value": "cvat"},
    ]
    assert spec["imagePullSecrets"] == "regcred"
    assert spec["resources"]["limits"] == {"nvidia.com/gpu": 1}


def test_a_tracker_without_redis_keeps_one_replica(cluster: Machine) -> None:
    cluster.start("sam2-tracker", *KUBE, "--replicas", "2:3")
    spec = _spec(cluster)
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 1)


def test_redis_with_its_password_from_a_secret(cluster: Machine) -> None:
    redis = ("--redis", "redis.cvat:6379", "--redis-tls", "--redis-secret", "redis-login")
    cluster.start("sam2-tracker", *KUBE, "--replicas", "2:3", *redis)
    spec = _spec(cluster)
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 3)
    assert cluster.calls("kubectl --namespace cvat get secret redis-login")
    environment = {entry["name"]: entry["value"] for entry in spec["env"]}
    assert {name: value for name, value in environment.items() if "REDIS" in name} == {
        "CVAT_FUNCTIONS_REDIS_HOST": "redis.cvat",
        "CVAT_FUNCTIONS_REDIS_PORT": "6379",
        "CVAT_FUNCTIONS_REDIS_TLS": "true",
        "CVAT_FUNCTIONS_REDIS_PASSWORD_FILE": "/run/secrets/redis/password",
    }
    secret = {"secretName": "redis-login", "items": [{"key": "password", "path": "password"}]}
    assert spec["volumes"] == [
        {
            "volume": {"name": "redis-password", "secret": secret},
            "volumeMount": {"name": "redis-password", "mountPath": "/run/secrets/redis", "readOnly": True},
        }
    ]


def test_a_redis_that_a_pod_does_not_reach_is_warned_of(cluster: Machine) -> None:
    cluster.answer("kubectl .*exec --stdin deployment/nuclio-sam2-tracker", err="Connection refused", status=1)
    redis = ("--redis", "redis:6379")
    assert "warning: sam2-tracker does not reach its Redis: Connection refused" in cluster.start(*KUBE, *redis).err
    asked = [call.split()[5] for call in cluster.calls("kubectl --namespace cvat exec")]
    assert asked == [f"deployment/nuclio-{name}" for name in ("sam-interactor", "sam2-tracker")]


def test_a_redis_secret_that_is_not_there(cluster: Machine) -> None:
    cluster.answer("kubectl --namespace cvat get secret nowhere", err="not found", status=1)
    outcome = cluster.start("sam2-tracker", *KUBE, "--redis", "redis:6379", "--redis-secret", "nowhere")
    assert outcome.status == 1
    assert "namespace cvat has no secret nowhere (--redis-secret)" in outcome.err


def test_new_labels_need_neither_docker_nor_a_push(cluster: Machine, tmp_path: Any) -> None:
    cluster.start("grounding-dino", *KUBE)
    cluster.lacks("docker")
    labels = tmp_path / "labels.yaml"
    labels.write_text("- rust\n")
    outcome = cluster.start("grounding-dino", *KUBE, "--labels", str(labels), "--no-build")
    assert outcome.status == 0, outcome.err
    assert cluster.changes() == cluster.calls("nuctl deploy")


def test_all_of_a_run_goes_to_the_cluster_in_which_it_began(cluster: Machine) -> None:
    cluster.answer("kubectl config view --minify --flatten --raw$", "the-first")
    outcome = cluster.start("sam2-tracker", *KUBE, "--cpu")
    assert outcome.status == 0, outcome.err
    asked = (cluster.folder / "contexts").read_text().splitlines()
    assert asked == [f"the-first {call}" for call in cluster.calls()[1:]]
    assert "KUBECONFIG" not in os.environ


def test_the_copy_of_the_configuration_is_nobody_elses_to_read(tmp_path: Path, cluster: Machine) -> None:
    cluster.answer("kubectl config view", "with a token")
    with mock.patch.dict(os.environ, cluster.environment()), pinned(tmp_path):
        copy = Path(os.environ["KUBECONFIG"])
        assert copy.read_text() == "with a token"
        assert copy.stat().st_mode & 0o777 == 0o600


def test_a_context_that_was_chosen_is_chosen_again_after_the_run(
    cluster: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster.answer("kubectl config view", "the-copy")
    monkeypatch.setenv("PATH", cluster.environment()["PATH"])
    monkeypatch.setenv("STAND_INS", str(cluster.folder))
    monkeypatch.setenv("KUBECONFIG", "/dev/null")
    with pinned(tmp_path):
        assert os.environ["KUBECONFIG"] != "/dev/null"
    assert os.environ["KUBECONFIG"] == "/dev/null"


@pytest.mark.parametrize(("said", "status"), [("", 0), ("the beginning of one", 1)])
def test_without_a_configuration_there_is_none_to_keep_to(
    cluster: Machine, tmp_path: Path, said: str, status: int
) -> None:
    """As in a pod of the cluster."""
    cluster.answer("kubectl config view", said, status=status)
    with mock.patch.dict(os.environ, cluster.environment()), pinned(tmp_path):
        assert "KUBECONFIG" not in os.environ


@pytest.mark.parametrize(
    ("pod", "bound", "why"),
    [
        ("", "_START_SECONDS", "it had no container for 0 minutes: Nuclio makes none, or somebody has removed it"),
        ("\nLATEST\t ", "CONTAINER_SECONDS", "it is not ready after 0 minutes"),
    ],
    ids=["no pod", "not ready"],
)
def test_nothing_is_waited_for_without_an_end(
    cluster: Machine, monkeypatch: pytest.MonkeyPatch, pod: str, bound: str, why: str
) -> None:
    """As where Nuclio's controller has gone since the checks."""
    monkeypatch.setattr(starting, bound, 1 if bound == "_START_SECONDS" else -600)
    cluster.answer("kubectl .*get pods -l nuclio.io/function-name=sam2-tracker --sort-by", pod)
    cluster.answer("nuctl deploy", seconds=60)
    outcome = cluster.start("sam2-tracker", *KUBE, "--cpu")
    assert outcome.status == 1
    assert f"not deployed: sam2-tracker: {why}" in outcome.err
    assert "kubectl logs -l nuclio.io/app=controller" in outcome.err


def test_a_pod_that_takes_its_time_is_waited_for(cluster: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_START_SECONDS", 1)
    starts = "\nLATEST\tContainerCreating "
    cluster.answer("kubectl .*get pods -l nuclio.io/function-name=sam2-tracker --sort-by", starts)
    cluster.answer("nuctl deploy", seconds=2.5)
    outcome = cluster.start("sam2-tracker", *KUBE, "--cpu")
    assert outcome.status == 0, outcome.err
    assert "ContainerCreating" not in outcome.err


def test_no_build_deploys_what_was_removed_once_more(cluster: Machine) -> None:
    cluster.start("grounding-dino", *KUBE)
    cluster.start("remove", "grounding-dino", "--platform", "kube")
    outcome = cluster.start("grounding-dino", *KUBE, "--no-build")
    assert outcome.status == 0, outcome.err
    assert len(cluster.calls("nuctl deploy")) == 1


def test_a_failure_prints_the_pods_log_and_brings_the_one_before_back(cluster: Machine) -> None:
    cluster.start("sam2-tracker", *KUBE)
    cluster.built_bad(err="pod is crash looping")
    pods = "\nnuclio-sam2-tracker-old-1\t \nLATEST\tCrashLoopBackOff back-off 10s"
    cluster.answer("kubectl .*get pods -l nuclio.io/function-name=sam2-tracker --sort-by", pods)
    cluster.answer("kubectl .*logs", "of the version before, which still answers")
    cluster.answer(r"kubectl --namespace cvat logs deployed\.[0-9]+\.yaml ", "the pod's own log")
    outcome = cluster.start("sam2-tracker", *KUBE)
    assert outcome.status == 1
    assert "the pod's own log" in outcome.out
    assert [call.split("--run-image ")[1].split()[0][-16:] for call in cluster.calls("nuctl deploy")] == [
        "gpu-bad0bad0bad0",
        "gpu-0123456789ab",
    ]


def test_images_in_the_registry_stay_and_need_not_be_here(cluster: Machine) -> None:
    for digit in "abc":
        cluster.built(digit * 16)
        assert cluster.start("sam2-tracker", *KUBE).status == 0
    assert cluster.dropped() == []
    cluster.lacks("docker")
    assert cluster.start("rollback", "sam2-tracker", *KUBE[:2]).status == 0


def test_a_port_that_cannot_be_forwarded_any_more_is_no_answer(cluster: Machine) -> None:
    cluster.start("sam2-tracker", *KUBE)
    cluster.answer("kubectl .*port-forward", err="error: unable to forward port", status=1)
    outcome = cluster.start("sam2-tracker", *KUBE)
    assert "sam2-tracker runs, but no port could be forwarded to sam2-tracker" in outcome.out
    assert cluster.calls("nuctl deploy")


def test_no_log_is_promised_where_the_cluster_made_no_pod(cluster: Machine) -> None:
    cluster.answer("kubectl .*get pods -l nuclio.io/function-name=sam2-tracker --sort-by", "\nthe-pod-before\t ")
    cluster.answer("nuctl deploy", err="exceeded quota", status=1)
    outcome = cluster.start("sam2-tracker", *KUBE)
    assert "the pod's own log" not in outcome.out
    assert "it has no log; what was said above shows what happened" in outcome.err


@pytest.mark.parametrize(
    ("pattern", "what", "remedy"),
    [
        ("kubectl get namespace", "namespace cvat is not reachable", "kubectl config get-contexts"),
        (
            "kubectl .*get pods -l nuclio.io/app=dashboard",
            "no Nuclio dashboard runs in namespace cvat",
            "nuclio.enabled",
        ),
        ("kubectl .*get pods -l nuclio.io/app=controller", "no Nuclio controller is ready", "describe pods"),
        ("kubectl .*get pvc", "has no pvc weights (--weights-pvc)", "get pvc"),
        ("kubectl .*get secret", "has no secret regcred (--pull-secret)", "get secret"),
    ],
)
def test_a_problem_of_the_cluster(cluster: Machine, pattern: str, what: str, remedy: str) -> None:
    cluster.answer(pattern, err="not found", status=1)
    outcome = cluster.start("--weights-pvc", "weights", "--pull-secret", "regcred", *KUBE)
    assert outcome.status == 1
    lines = outcome.err.splitlines()
    (problem,) = [number for number, line in enumerate(lines) if what in line]
    assert remedy in lines[problem + 1]
    assert cluster.changes() == []


def test_who_lacks_a_right_learns_which_it_takes(cluster: Machine) -> None:
    forbidden = 'Error from server (Forbidden): namespaces "cvat" is forbidden: User "narrow" cannot get resource'
    cluster.answer("kubectl get namespace", err=forbidden, status=1)
    for action in ((), ("status",), ("remove",)):
        err = cluster.start(*action, "sam2-tracker", *KUBE[: None if not action else 2]).err
        assert (
            "remedy:  docs/kubernetes.md says which rights it takes; kubectl auth can-i --list --namespace cvat" in err
        )


def test_a_cluster_that_does_not_answer_leaves_no_folder(cluster: Machine, tmp_path: Path) -> None:
    cluster.answer("kubectl get namespace", err="not found", status=1)
    for words in (("sam2-tracker", *KUBE), ("rollback", *KUBE[:2])):
        assert cluster.start(*words).status == 1
        assert cluster.calls("kubectl --namespace") == [], "nothing more is asked"
    assert list((tmp_path / "state").iterdir()) == []


def test_a_function_that_somebody_scaled_to_none_is_deployed_anew(cluster: Machine) -> None:
    cluster.start("sam2-tracker", *KUBE)
    cluster.answer("kubectl .*get deployment/nuclio-sam2-tracker", "4/4///")
    outcome = cluster.start("sam2-tracker", *KUBE)
    assert "unchanged" not in outcome.out
    assert len(cluster.calls("nuctl deploy")) >= 1
    assert cluster.calls("kubectl --namespace cvat port-forward") == [], "there is nobody to call"


def test_pods_that_are_still_being_replaced_are_waited_for(cluster: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    has = iter([False, True])
    monkeypatch.setattr(Kubernetes, "_has", lambda *_: next(has))
    assert cluster.start("sam2-tracker", *KUBE).status == 0
    assert cluster.calls("kubectl --namespace cvat rollout status deployment/nuclio-sam2-tracker")


def test_a_claim_that_is_mounted_elsewhere_holds_no_checkpoints(
    cluster: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "REPOSITORY", repository_with(tmp_path, {"volumes": [_claimed("/scratch")]}))
    cluster.start("sam2-tracker", *KUBE)
    outcome = cluster.start("sam2-tracker", *KUBE, "--no-build", "--model", "sam2.1-tiny")
    assert "does not hold sam2.1-tiny, but: sam2.1-large" in outcome.err


@pytest.mark.parametrize("place", ["/opt/promptable/weights", "/opt/promptable"])
def test_a_claim_of_function_yaml_may_hold_the_checkpoints(
    place: str, cluster: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "REPOSITORY", repository_with(tmp_path, {"volumes": [_claimed(place)]}))
    cluster.start("sam2-tracker", *KUBE)
    outcome = cluster.start("sam2-tracker", *KUBE, "--no-build", "--model", "sam2.1-tiny")
    assert outcome.status == 0, outcome.err


def _claimed(place: str) -> dict[str, Any]:
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
    return {"volume": volume, "volumeMount": {"name": "v", "mountPath": place}}


def test_a_fault_in_function_yaml_is_answered_with_that_file(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "REPOSITORY", repository_with(tmp_path, {"evntTimeout": "1s"}))
    for more in ((), ("--dry-run",), KUBE):
        outcome = machine.start("sam2-tracker", "--cpu", *more)
        assert "sam2-tracker/function.yaml: " in outcome.err
        assert "remedy:  change that file; docs/settings.md" in outcome.err
        assert machine.changes() == []


def test_a_cluster_without_a_gpu(cluster: Machine) -> None:
    cluster.answer("kubectl get nodes", "\n")
    outcome = cluster.start(*KUBE)
    assert outcome.status == 1
    assert "PROBLEM: no node offers nvidia.com/gpu" in outcome.err
    assert cluster.changes() == []


def test_who_may_not_list_the_nodes_is_not_told_that_no_gpu_is_there(cluster: Machine) -> None:
    forbidden = 'Error from server (Forbidden): nodes is forbidden: User "annotator" cannot list resource "nodes"'
    cluster.answer("kubectl get nodes", err=forbidden, status=1)
    outcome = cluster.start("sam2-tracker", *KUBE)
    assert outcome.status == 0, outcome.err
    assert f"warning: whether a node offers nvidia.com/gpu is not known: {forbidden}" in outcome.err


def test_a_plan_names_no_docker_network(cluster: Machine) -> None:
    assert "platform:    kube, namespace cvat\n" in cluster.start("sam2-tracker", *KUBE, "--dry-run").out


def test_what_keeps_a_pod_from_starting_is_said_while_nuctl_waits_for_it(cluster: Machine) -> None:
    why = 'ImagePullBackOff Back-off pulling image "registry.example.com/cvat/x": ErrImagePull: 401 Unauthorized'
    cluster.answer("kubectl .*get pods -l nuclio.io/function-name=sam2-tracker --sort-by", f"\nLATEST\t{why}")
    cluster.answer("nuctl deploy", seconds=2.5)
    assert cluster.start("sam2-tracker", *KUBE).err.count(f".yaml: {why}") == 1, "and not each second"


def test_what_kept_a_pod_from_starting_is_the_reason_where_nuctl_gives_up(cluster: Machine) -> None:
    unhealthy = "\nError - NuclioFunction in unhealthy state:\n\nError - context deadline exceeded\n"
    why = "0/1 nodes are available: 1 Insufficient cpu."
    cluster.answer("kubectl .*get pods -l nuclio.io/function-name=sam2-tracker --sort-by", f"\nLATEST\t{why} ")
    cluster.answer("nuctl deploy", err=unhealthy, status=1)
    err = cluster.start("sam2-tracker", *KUBE).err
    assert re.search(rf"not deployed: sam2-tracker: deployed\.\d+\.yaml: {re.escape(why)}", err)


def _unschedulable(cluster: Machine, why: str) -> None:
    """Nuclio gives up the first deployment."""
    cluster.answer("kubectl .*get pods -l nuclio.io/function-name=sam2-tracker --sort-by", f"\nLATEST\t{why}")
    gave_up = "Error - NuclioFunction pod (nuclio-sam2-tracker-1) is unschedulable"
    cluster.answer("nuctl deploy", err=gave_up, status=1)


def test_a_pod_that_found_a_place_after_nuclio_gave_it_up_is_deployed_again(
    cluster: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the pods of the function before are still ending."""
    _unschedulable(cluster, "0/1 nodes are available: 1 Insufficient cpu.")

    def one_ends(_: float) -> None:
        cluster.answer("kubectl .*get pods -l nuclio.io/function-name=sam2-tracker --sort-by", "\nLATEST\t ")
        cluster.answer("nuctl deploy")

    monkeypatch.setattr("promptable.deploy.rollout.starting.sleep", one_ends)
    outcome = cluster.start("sam2-tracker", *KUBE)
    assert outcome.status == 0, outcome.err
    assert "sam2-tracker has a place now, after Nuclio had given it up: once more" in outcome.out
    assert len(cluster.calls("nuctl deploy")) == 2


def test_a_place_is_not_waited_for_without_an_end(cluster: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    _unschedulable(cluster, "0/1 nodes are available: 1 Insufficient cpu.")
    monkeypatch.setattr(starting, "_ENDING_SECONDS", -1)
    monkeypatch.setattr(starting, "sleep", pytest.fail)
    assert "make room on the nodes" in cluster.start("sam2-tracker", *KUBE).err


def test_a_pod_that_no_node_will_ever_take_is_not_waited_for(cluster: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    _unschedulable(cluster, "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")
    monkeypatch.setattr("promptable.deploy.rollout.starting.sleep", pytest.fail)
    outcome = cluster.start("sam2-tracker", *KUBE)
    assert "didn't match Pod's node affinity/selector" in outcome.err
    assert "make room on the nodes for every replica and one more" in outcome.err
    assert len(cluster.calls("nuctl deploy")) == 1


def test_a_replica_that_lacks_a_place_after_nuctl_is_done_is_answered_with_what_to_do(cluster: Machine) -> None:
    """As under load: while pods are replaced Nuclio asks for as many as it counts, the old and the new."""
    why = "0/1 nodes are available: 1 Insufficient cpu."
    cluster.answer("kubectl .*get pods -l nuclio.io/function-name=sam2-tracker --sort-by", f"\nLATEST\t{why}")
    cluster.answer("kubectl .*get deployment/nuclio-sam2-tracker", "4/4/2/1/1")
    cluster.answer("kubectl .*rollout status", err="error: timed out waiting for the condition", status=1)
    err = cluster.start("sam2-tracker", *KUBE).err
    assert why in err
    assert "remedy:  make room on the nodes for every replica and one more" in err


def test_each_pod_has_a_line_in_status(cluster: Machine) -> None:
    pods = "nuclio-sam2-tracker-a 1/1 Running 0 9s\nnuclio-sam2-tracker-b 1/1 Running 0 7s"
    cluster.answer("kubectl .*get pods -l nuclio.io/function-name=sam2-tracker --no-headers", pods)
    first, second = cluster.start("status", "sam2-tracker", "--platform", "kube").out.splitlines()[-2:]
    assert first.split()[:3] == ["sam2-tracker", "nuclio-sam2-tracker-a", "1/1"]
    assert second.split() == ["nuclio-sam2-tracker-b", "1/1", "Running", "0", "7s"]


def test_a_registry_is_needed(cluster: Machine) -> None:
    assert "no registry" in cluster.start("--platform", "kube").err


def test_a_dashboard_open_to_the_world_is_warned_of(cluster: Machine) -> None:
    cluster.answer("kubectl .*get services", "cvat-nuclio-dashboard LoadBalancer")
    assert "reachable from outside the cluster" in cluster.start("sam2-tracker", *KUBE).err


@pytest.mark.parametrize("replicas", ["0", "3:1", "many"])
def test_wrong_replicas(cluster: Machine, replicas: str) -> None:
    outcome = cluster.start("sam-interactor", *KUBE, "--replicas", replicas)
    assert outcome.status == 2
    assert "expected a number from 1 on, or min:max" in outcome.err
    assert cluster.changes() == []


def test_nuctl_is_needed_as_the_dashboard_is(cluster: Machine) -> None:
    cluster.lacks("nuctl")
    err = cluster.start("sam2-tracker", *KUBE).err
    assert "nuctl is not installed" in err
    assert "releases/download/1.15.9/nuctl-1.15.9-linux-amd64" in err
    assert "unknown version" not in err


def test_nuctl_is_of_the_dashboards_version(cluster: Machine) -> None:
    cluster.answer("nuctl version", '"Label: 1.13.0, Git commit: 0"')
    assert "nuctl is 1.13.0 and the Nuclio dashboard is 1.15.9" in cluster.start("sam2-tracker", *KUBE).err


def test_building_needs_docker(cluster: Machine) -> None:
    cluster.lacks("docker")
    outcome = cluster.start("sam2-tracker", *KUBE)
    assert outcome.status == 1
    assert "docker is not installed" in outcome.err


def test_a_claims_checkpoints_are_not_the_images(cluster: Machine) -> None:
    cluster.start("sam2-tracker", *KUBE, "--weights-pvc", "weights")
    outcome = cluster.start("sam2-tracker", *KUBE, "--no-build")
    assert outcome.status == 1
    assert "does not hold sam2.1-large" in outcome.err
    assert cluster.start("sam2-tracker", *KUBE, "--no-build", "--weights-pvc", "weights").status == 0
