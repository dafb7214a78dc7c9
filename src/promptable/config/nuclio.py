"""Nuclio's function configuration, the document of function.yaml and processor.yaml, as frozen models.

The keys are those of pkg/functionconfig/types.go in nuclio/nuclio, and what CVAT reads of the annotations
(cvat/apps/lambda_manager/views.py). Names in Python are theirs in snake case. What neither our functions nor their
deployment look into (Kubernetes objects) is carried as it is.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from promptable.config.durations import parse_duration
from promptable.config.validation import TEXT, Section, Takes, Tuple


class FunctionType(StrEnum):
    """CVAT's kinds of functions."""

    DETECTOR = "detector"
    INTERACTOR = "interactor"
    TRACKER = "tracker"


def _is_duration(text: str) -> bool:
    return not text or parse_duration(text) >= 0


Text = Annotated[str, Takes(TEXT, bool)]
Count = Annotated[int, Takes("a whole number from 0 on", lambda number: number >= 0)]
Amount = Annotated[str | int, Takes("a whole number or a text such as 2Gi")]
Handler = Annotated[str, Takes("module:function", re.compile(r"\w+(\.\w+)*:\w+").fullmatch)]
Duration = Annotated[str, Takes("a duration such as 30s or 1m30s, as a text", _is_duration)]
Kind = Annotated[FunctionType, Field(strict=False), Takes(f"one of {', '.join(FunctionType)}")]
Http = Annotated[str, Takes("http: CVAT calls functions over HTTP", "http".__eq__)]

_REDIS_HOST = "CVAT_FUNCTIONS_REDIS_HOST"
_BODY_BYTES = 4 * 1024 * 1024
_WAIT_MILLISECONDS = 10_000


class NuclioSection(Section):
    """A part whose keys are in camel case."""

    model_config = ConfigDict(alias_generator=to_camel)


class Annotations(Section):
    """What CVAT reads about a function. Nuclio takes only texts, so numbers and truth values are quoted."""

    name: Text = ""
    type: Kind
    framework: str = ""
    spec: str = ""
    """Labels of a detector, as JSON (``config.labels``)."""
    version: Text = "1"
    min_pos_points: str = ""
    min_neg_points: str = ""
    startswith_box: str = ""
    """CVAT takes every text for true, "false" too."""
    startswith_box_optional: str = ""
    help_message: str = ""
    animated_gif: str = ""
    supported_shape_types: str = ""


class Metadata(NuclioSection):
    """Who the function is."""

    name: Text
    namespace: str = ""
    labels: Mapping[str, str] = {}
    annotations: Annotations
    resource_version: str = ""


class Variable(NuclioSection):
    """An environment variable: a value, which the dashboard shows, or a reference to where Kubernetes keeps it."""

    name: Text
    value: Annotated[str, Takes(TEXT)] = ""
    value_from: Mapping[str, Any] = {}


class HttpAttributes(NuclioSection):
    """Attributes of an HTTP trigger (pkg/processor/trigger/http/types.go); ``port`` is the host's, 0 any free one."""

    port: Count = 0
    max_request_body_size: Count = 0
    read_buffer_size: Count = 0
    reduce_memory_usage: bool = False
    disable_port_publishing: bool = False
    service_type: str = ""
    mode: str = ""
    authentication_mode: str = ""
    authentication: Mapping[str, Any] = {}
    cors: Mapping[str, Any] = {}
    ingresses: Mapping[str, Any] = {}


class HttpTrigger(NuclioSection):
    """How the function is called; what is absent has Nuclio's default."""

    class_: str = Field("", alias="class")
    kind: Http = "http"
    name: str = ""
    disabled: bool = False
    num_workers: Count = 0
    max_workers: Count = 0
    """The older name of ``num_workers``."""
    url: str = ""
    worker_availability_timeout_milliseconds: Count = _WAIT_MILLISECONDS
    worker_termination_timeout: str = ""
    worker_allocator_name: str = ""
    batch: Mapping[str, Any] = {}
    annotations: Mapping[str, str] = {}
    attributes: HttpAttributes = HttpAttributes()

    @property
    def workers(self) -> int:
        """How many processes answer requests."""
        return self.num_workers or self.max_workers or 1

    @property
    def wait_seconds(self) -> float:
        """How long a request waits for a worker to come free."""
        return self.worker_availability_timeout_milliseconds / 1000

    @property
    def port(self) -> int:
        """The host's port; 0: any free one."""
        return self.attributes.port

    @property
    def max_body_bytes(self) -> int:
        """A larger request is refused."""
        return self.attributes.max_request_body_size or _BODY_BYTES


class Resources(NuclioSection):
    """Kubernetes' ResourceRequirements: amounts by the resource's name, such as ``nvidia.com/gpu: 1``."""

    limits: Mapping[str, Amount] = {}
    requests: Mapping[str, Amount] = {}
    claims: Tuple[Mapping[str, Any]] = ()


class LoggerSink(NuclioSection):
    """Where a log goes, from which level on; without a sink's name, to the platform's own."""

    level: str = ""
    sink: str = ""


class RestartPolicy(NuclioSection):
    """Docker's; in Kubernetes a pod always restarts."""

    name: Text
    maximum_retry_count: Count = 0


class PlatformAttributes(NuclioSection):
    """What Docker as a platform understands (pkg/platform/local/types.go)."""

    network: str = ""
    restart_policy: RestartPolicy | None = None
    mount_mode: str = ""


class Platform(NuclioSection):
    """What only one platform understands."""

    attributes: PlatformAttributes = PlatformAttributes()


class SecurityContext(NuclioSection):
    """Kubernetes' PodSecurityContext; Nuclio hands user and groups to ``docker run`` too."""

    run_as_non_root: bool | None = None
    run_as_user: Count | None = None
    run_as_group: Count | None = None
    fs_group: Count | None = None
    fs_group_change_policy: str | None = None
    supplemental_groups: Tuple[int] = ()
    supplemental_groups_policy: str | None = None
    seccomp_profile: Mapping[str, Any] = {}
    app_armor_profile: Mapping[str, Any] = {}
    se_linux_options: Mapping[str, Any] = {}
    windows_options: Mapping[str, Any] = {}
    sysctls: Tuple[Mapping[str, Any]] = ()


class Volume(NuclioSection):
    """A Kubernetes volume and where it is mounted; on Docker its ``hostPath`` counts."""

    volume: Mapping[str, Any]
    volume_mount: Mapping[str, Any]


class Toleration(NuclioSection):
    """A taint that the function's pods may run beside."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class Spec(NuclioSection):
    """What runs, and where."""

    description: Text
    """CVAT shows it; without one its list of models breaks."""
    runtime: str = ""
    handler: Handler
    event_timeout: Duration = ""
    readiness_timeout_seconds: Count = 0
    env: Tuple[Variable] = ()
    image: str = ""
    triggers: Mapping[str, HttpTrigger] = {}
    resources: Resources = Resources()
    volumes: Tuple[Volume] = ()
    logger_sinks: Tuple[LoggerSink] = ()
    platform: Platform = Platform()
    security_context: SecurityContext = SecurityContext()
    min_replicas: Count | None = None
    max_replicas: Count | None = None
    node_selector: Mapping[str, str] = {}
    tolerations: Tuple[Toleration] = ()
    image_pull_policy: str = ""
    image_pull_secrets: str = ""

    # Carried as they are.
    affinity: Any = None
    alias: Any = None
    auto_scale_metrics: Any = None
    build: Any = None
    custom_scaling_metric_specs: Any = None
    data_bindings: Any = None
    dealer_uri: Any = Field(None, alias="dealerURI")
    deployment_strategy: Any = None
    devices: Any = None
    disable: Any = None
    disable_default_http_trigger: Any = Field(None, alias="disableDefaultHTTPTrigger")
    disable_sensitive_fields_masking: Any = None
    env_from: Any = None
    host_ipc: Any = Field(None, alias="hostIPC")
    image_hash: Any = None
    image_pull_secrets_list: Any = None
    init_containers: Any = None
    node_name: Any = None
    preemption_mode: Any = None
    preemption_policy: Any = None
    priority_class_name: Any = None
    publish: Any = None
    replicas: Any = None
    run_registry: Any = None
    runtime_attributes: Any = None
    scale_to_zero: Any = None
    service_account: Any = None
    service_type: Any = None
    sidecars: Any = None
    target_cpu: Any = Field(None, alias="targetCPU")
    version: Any = None
    wait_readiness_timeout_before_failure: Any = None


class FunctionConfig(NuclioSection):
    """One function: read it, ``replace`` what changes, and dump it (``config.function_yaml``)."""

    metadata: Metadata
    spec: Spec

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def type(self) -> FunctionType:
        return self.metadata.annotations.type

    @property
    def env(self) -> Mapping[str, str]:
        """The environment's values by their names, without what Kubernetes is to look up."""
        return {variable.name: variable.value for variable in self.spec.env if not variable.value_from}

    @property
    def looked_up(self) -> frozenset[str]:
        """The names of the variables whose values Kubernetes is to look up; on Docker they are empty."""
        return frozenset(variable.name for variable in self.spec.env if variable.value_from)

    @property
    def redis_host(self) -> str:
        """The host of its Redis, or ``looked up`` where only Kubernetes knows it; empty: it has none."""
        return "looked up" if _REDIS_HOST in self.looked_up else self.env.get(_REDIS_HOST, "")

    @property
    def trigger(self) -> HttpTrigger:
        """The HTTP trigger, with its name; Nuclio gives every function one."""
        for name, trigger in self.spec.triggers.items():
            return trigger.replace(name=name)
        return HttpTrigger.model_validate({"name": "default-http"})

    def lacks_redis(self, environment: Mapping[str, str]) -> bool:
        """Whether it needs a Redis, and has none in this environment: a tracker's workers are processes, each of which
        knows only the objects that began in it."""
        one = self.type is not FunctionType.TRACKER or self.trigger.workers == 1
        return not one and not environment.get(_REDIS_HOST)

    @property
    def event_timeout_seconds(self) -> float | None:
        """How long an answer may take; None for as long as it likes."""
        return parse_duration(self.spec.event_timeout) if self.spec.event_timeout else None

    def with_annotations(self, **annotations: str) -> "FunctionConfig":
        """The same with these annotations, such as ``spec``, a detector's labels."""
        changed = self.metadata.annotations.replace(**annotations)
        return self.replace(metadata=self.metadata.replace(annotations=changed))

    def with_metadata(self, **changes: Any) -> "FunctionConfig":
        """The same with these fields of ``metadata``; None leaves one out."""
        return self.replace(metadata=self.metadata.replace(**changes))

    def with_spec(self, **changes: Any) -> "FunctionConfig":
        """The same with these fields of ``spec``; None leaves one out."""
        return self.replace(spec=self.spec.replace(**changes))

    def with_env(self, **values: str) -> "FunctionConfig":
        """The same with these variables, in the places of those that it has."""
        given = {name: Variable(name=name, value=value) for name, value in values.items()}
        variables = {variable.name: variable for variable in self.spec.env} | given
        return self.with_spec(env=tuple(variables.values()))

    def with_trigger(self, **attributes: Any) -> "FunctionConfig":
        """The same with these attributes of its HTTP trigger, such as ``port``; None leaves one out."""
        trigger = self.trigger
        changed = trigger.replace(attributes=trigger.attributes.replace(**attributes))
        return self.with_spec(triggers={**self.spec.triggers, trigger.name: changed})
