"""The ``runners.kubeflow`` section: image, places, run parameters, and what each component needs of the cluster."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from modules.settings.base import Settings

_YEAR = 365 * 24 * 3600
"""Seconds: no duration is longer. Kubernetes counts a pod's deadline in 32 bits."""
SHARED_MEMORY_PATH = "/dev/shm"  # noqa: S108 - of the pod, where PyTorch and others expect it
_OWN_VOLUMES = frozenset(
    {"kfp-launcher", "kfp-workspace", "custom-ca", "shared-memory", "input-artifacts", "tmp-dir-argo", "var-run-argo"}
    | {f"{scratch}-scratch" for scratch in ("gcs", "s3", "minio", "dot-local", "dot-cache", "dot-config")}
)
"""Volumes that Kubeflow, Argo and the package themselves put into every pod."""
_OWN_VOLUME = re.compile(r"volume-\d+")
"""Names of the empty folders that ``volumes`` asks for."""


def seconds(duration: str) -> int:
    """Seconds of a :data:`Duration`."""
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]


def _at_most_a_year(duration: str) -> str:
    if seconds(duration) > _YEAR:
        raise ValueError(f"expected a duration of at most {_YEAR // 3600}h, a year, not {duration}")
    return duration


def _volume_name(name: str) -> str:
    """Kubeflow names the pod's volume after the claim, the secret or the config map (v2/driver/k8s.go)."""
    if re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name) is None:
        raise ValueError(
            "expected at most 63 lower-case letters, digits and hyphens, as Kubeflow gives the pod's volume this name "
            f"and Kubernetes takes no other for a volume; {name!r} has to be copied under such a name"
        )
    if name in _OWN_VOLUMES or _OWN_VOLUME.fullmatch(name):
        raise ValueError(
            f"expected another name than {name!r}, as Kubeflow gives the pod's volume this name and every pod has a "
            "volume so named already"
        )
    return name


Quantity = Annotated[str, Field(pattern=r"^\d+(\.\d+)?(m|[kMGTP]i?)?$")]
"""A Kubernetes quantity: ``500m`` cores, ``16Gi`` bytes."""
Duration = Annotated[str, Field(pattern=r"^[1-9]\d*[smh]$"), AfterValidator(_at_most_a_year)]
"""Seconds, minutes or hours, a year at most: ``30s``, ``10m``, ``2h``."""
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
MountPath = Annotated[str, Field(pattern=r"^/[^:]+$")]
ObjectName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", max_length=253)
]
"""The name of a Kubernetes object, which may have dots."""
VolumeName = Annotated[str, AfterValidator(_volume_name)]
"""The name of an object that becomes a volume's name as well."""
LabelKey = Annotated[
    str,
    Field(
        pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
        max_length=317,
    ),
]
"""A node label's key, with or without a prefix: ``pool``, ``cloud.google.com/gke-accelerator``."""
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")]


class GpuSettings(Settings):
    type: str = "nvidia.com/gpu"
    """Kubernetes' name of the resource; on Vertex AI the accelerator's (``NVIDIA_TESLA_T4``)."""
    count: Annotated[int, Field(ge=1)] = 1
    """How many GPUs the pod asks for."""


class TolerationSettings(Settings):
    key: str
    """The key of the taint that is tolerated."""
    operator: Literal["Exists", "Equal"] = "Exists"
    """``Exists`` tolerates the taint whatever its value is, ``Equal`` only with ``value``."""
    value: str | None = None
    """The taint's value, for ``operator: Equal`` alone."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; null tolerates all effects."""

    @model_validator(mode="after")
    def _value(self) -> TolerationSettings:
        if (self.operator == "Equal") != (self.value is not None):
            raise ValueError("value goes with operator Equal, and Equal needs one")
        return self


class VolumeSettings(Settings):
    """One of ``claim``, ``secret``, ``config_map`` and ``empty`` at a path in the pod."""

    path: MountPath
    """Where it is mounted in the pod."""
    claim: VolumeName | None = None
    """Name of a PersistentVolumeClaim."""
    secret: VolumeName | None = None
    """The name of a Kubernetes secret, whose keys become files."""
    config_map: VolumeName | None = None
    """The name of a config map, whose keys become files."""
    empty: Quantity | None = None
    """Size limit of an empty folder that lives as long as the pod."""

    @model_validator(mode="after")
    def _one(self) -> VolumeSettings:
        if sum(source is not None for source in (self.claim, self.secret, self.config_map, self.empty)) != 1:
            raise ValueError("a volume has exactly one of claim, secret, config_map and empty")
        return self


class SecretKeySettings(Settings):
    secret: ObjectName
    """The name of the Kubernetes secret."""
    key: str
    """The key within the secret whose value is taken."""


class RetrySettings(Settings):
    """What Argo does after a failed attempt; pauses between attempts grow without a limit of their own."""

    count: Annotated[int, Field(ge=1, le=20)] = 2
    """Attempts after the first one."""
    backoff: Duration = "30s"
    """The pause before the first retry."""
    factor: Annotated[int, Field(ge=1, le=10)] = 2
    """How many times longer each further pause is; Argo reads whole numbers only."""
    max_duration: Duration | None = None
    """How long after the start of the first attempt a task is tried at all: a retry that still runs then is ended, and
    no further one starts. Null: a year."""

    @property
    def max_seconds(self) -> int:
        """Seconds of ``max_duration``. Kubeflow has no way to leave it out: 0 is what it puts in then."""
        return _YEAR if self.max_duration is None else seconds(self.max_duration)

    @model_validator(mode="after")
    def _pauses_fit(self) -> RetrySettings:
        pauses = seconds(self.backoff) * sum(self.factor**number for number in range(self.count))
        if pauses >= self.max_seconds:
            limit = "a year" if self.max_duration is None else f"max_duration, {self.max_duration}"
            raise ValueError(
                f"expected pauses that leave time for the attempts: {self.count} retries wait {pauses:,} seconds "
                f"altogether, and none starts later than {limit}; lower count, backoff or factor"
            )
        return self


class NodeRequirementSettings(Settings):
    """What one label of a node has to be."""

    key: LabelKey
    """The name of the node's label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = "In"
    """How the label is compared with ``values``, in Kubernetes' words."""
    values: tuple[LabelValue, ...] = ()
    """Values that the label is compared with; none for ``Exists`` and ``DoesNotExist``."""

    @model_validator(mode="after")
    def _values(self) -> NodeRequirementSettings:
        if self.operator in ("In", "NotIn") and not self.values:
            raise ValueError(f"{self.operator} needs at least one of values")
        if self.operator in ("Exists", "DoesNotExist") and self.values:
            raise ValueError(f"{self.operator} takes no values")
        if self.operator in ("Gt", "Lt") and not (len(self.values) == 1 and re.fullmatch(r"\d{1,18}", self.values[0])):
            raise ValueError(f'{self.operator} needs exactly one of values, a whole number in quotes such as "4"')
        return self


class NodeAffinitySettings(Settings):
    """One kind of node. Of several without a weight a node has to be one; those with a weight are preferred."""

    match_expressions: Annotated[tuple[NodeRequirementSettings, ...], Field(min_length=1)]
    """All of them have to hold."""
    weight: Annotated[int, Field(ge=1, le=100)] | None = None
    """How much such a node is preferred; null: no other node will do."""


class ComponentResources(Settings):
    """What a component's pod asks for; what is left out is the ``defaults`` section's, or the cluster's."""

    cpu: Quantity | None = None
    """Cores, as limit. Libraries then start as many threads, unless ``environment`` sets OMP_NUM_THREADS,
    TF_NUM_INTEROP_THREADS or TF_NUM_INTRAOP_THREADS itself."""
    memory: Quantity | None = None
    """The pod's limit of memory; a container that exceeds it is ended."""
    gpu: GpuSettings | None = None
    """GPUs that the pod asks for; null takes what ``defaults`` says."""
    node_selector: dict[LabelKey, LabelValue] | None = None
    """Labels that the node must have."""
    node_affinity: tuple[NodeAffinitySettings, ...] | None = None
    """Kinds of nodes that are required or preferred."""
    tolerations: tuple[TolerationSettings, ...] | None = None
    """Taints of nodes that the pod tolerates, and so may run on."""
    shared_memory: Quantity | None = None
    """The size of /dev/shm in the pod; null takes what ``defaults`` says."""
    volumes: tuple[VolumeSettings, ...] | None = None
    """What is mounted into the pod: claims, secrets, config maps and empty folders."""
    environment: dict[EnvironmentName, str] | None = None
    """Environment variables of the pod, by name."""
    secret_environment: dict[EnvironmentName, SecretKeySettings] | None = None
    """Environment variables that are keys of secrets."""
    retries: RetrySettings | None = None
    timeout: Duration | None = None
    """After this the pod is ended."""
    cache: bool | None = None
    """Whether results of an earlier run with the same inputs are taken."""

    @model_validator(mode="after")
    def _volumes_apart(self) -> ComponentResources:
        """Kubernetes refuses two volumes of one name, and Argo keeps the last of two mounts at one path."""
        kinds: dict[str, str] = {}
        paths = {SHARED_MEMORY_PATH} if self.shared_memory is not None else set()
        for volume in self.volumes or ():
            path = volume.path.rstrip("/")
            if path in paths:
                taken = " (shared_memory is there)" if path == SHARED_MEMORY_PATH else ""
                raise ValueError(f"expected one volume per path, and there are two at {path}{taken}")
            paths.add(path)
            for kind in ("claim", "secret", "config_map"):
                name = getattr(volume, kind)
                if name is not None and kinds.setdefault(name, kind) != kind:
                    raise ValueError(
                        f"expected volumes of different names: Kubeflow names the pod's volume after the object, and "
                        f"{name!r} is a {kinds[name]} as well as a {kind}"
                    )
        return self


_HEAVY = ("cpu", "memory", "gpu", "shared_memory", "node_selector", "node_affinity", "tolerations", "cache")
"""What a step that only reads a component's files does not need as much of."""


class KubeflowSettings(Settings):
    image: Annotated[str, Field(min_length=1)] = "shelfmark:latest"
    """The container image with this package that all steps run in."""
    pipeline_root: Annotated[str, Field(pattern=r"^(gs|s3|minio)://[^/]+(/.*)?$")] | None = None
    """Where artifacts go: gs://, s3:// or minio://; null: the cluster's default."""
    feed: Annotated[str, Field(pattern=r"^([a-z0-9]+://|/)")] | None = None
    """The feed's folder as the pods see it (gs://, s3://, or a path in a mounted volume): the default of the run
    parameter ``feed``. Null: the same path as here. Taxonomy, rules and labels are read from it, too."""
    push_folder: Annotated[str, Field(pattern=r"^([a-z0-9]+://|/)")] | None = None
    """Where blessed models go, as the pods see it (gs://, s3://, a mounted volume); null: they are only artifacts."""
    parameters: tuple[str, ...] = (
        "training.epochs", "training.batch_size", "training.learning_rate", "prediction.batch_size", "sampling.size",
    )  # fmt: skip
    """Settings that a run can be given another value of; ``training.epochs`` becomes the parameter
    ``training_epochs``. ``feed`` and ``label_snapshot`` are parameters of every package."""
    defaults: ComponentResources = ComponentResources()
    """What all components ask of the cluster, where ``components`` says nothing else."""
    components: dict[str, ComponentResources] = Field(default_factory=dict)
    """Component to its own; the steps that only Kubeflow has (Report, LastBlessedModel, ``<component>-fingerprint``)
    are components here. Tuner, which trains as Trainer does, has Trainer's where it is not named."""
    service_account: ObjectName | None = None
    """Of the run's pods; null: the cluster's default."""
    metadata: Annotated[str, Field(pattern=r"^([^/:?@]+:\d+|grpcs://[^/:?@]+:\d+(\?ca=/[^?&]+)?)$")] = (
        "metadata-grpc-service.kubeflow:8080"
    )
    """Host and port of the cluster's ML Metadata, as the pods see it: the last blessed model is looked up there. With
    TLS ``grpcs://HOST:PORT?ca=FILE``; FILE holds the authority's certificate and is in the pods (left out: gRPC's own
    list of public authorities)."""
    artifacts_api: Annotated[str, Field(pattern=r"^https?://[^/@\s]+(/\S*)?$")] | None = None
    """Address of the API server, as the pods see it (``http://ml-pipeline.kubeflow:8888``): the last blessed model is
    looked up through its artifacts API, which Kubeflow Pipelines 3.0 has in place of ML Metadata. Null: in
    ``metadata``."""

    def resources(self, step: str, reads_for: str | None = None) -> ComponentResources:
        """A step's own settings over the defaults.

        Args:
          reads_for: the component whose files the step reads. What it takes to reach them (volumes, environment,
            retries, timeout) is that component's where the step has none of its own.
        """
        if step == "Tuner" and step not in self.components:
            step = "Trainer"
        layers = [self.components.get(step, ComponentResources())]
        if reads_for is not None:
            layers.insert(0, self.resources(reads_for).model_copy(update=dict.fromkeys(_HEAVY)))
        given = {
            name: value
            for layer in layers
            for name in ComponentResources.model_fields
            if (value := getattr(layer, name)) is not None
        }
        return self.defaults.model_copy(update=given)
