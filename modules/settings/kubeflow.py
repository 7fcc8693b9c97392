"""The ``runners.kubeflow`` section: image, places, run parameters, and what each component needs of the cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from modules.settings.base import Settings

Quantity = Annotated[str, Field(pattern=r"^\d+(\.\d+)?(m|[kMGTP]i?)?$")]
"""A Kubernetes quantity: ``500m`` cores, ``16Gi`` bytes."""
Duration = Annotated[str, Field(pattern=r"^[1-9]\d*[smh]$")]
"""Seconds, minutes or hours: ``30s``, ``10m``, ``2h``."""
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
MountPath = Annotated[str, Field(pattern=r"^/[^:]+$")]
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]


def seconds(duration: str) -> int:
    """Seconds of a :data:`Duration`."""
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]


class GpuSettings(Settings):
    type: str = "nvidia.com/gpu"
    """Kubernetes' name of the resource; on Vertex AI the accelerator's (``NVIDIA_TESLA_T4``)."""
    count: Annotated[int, Field(ge=1)] = 1


class TolerationSettings(Settings):
    key: str
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None

    @model_validator(mode="after")
    def _value(self) -> TolerationSettings:
        if (self.operator == "Equal") != (self.value is not None):
            raise ValueError("value goes with operator Equal, and Equal needs one")
        return self


class VolumeSettings(Settings):
    """One of ``claim``, ``secret``, ``config_map`` and ``empty`` at a path in the pod."""

    path: MountPath
    claim: ObjectName | None = None
    """Name of a PersistentVolumeClaim."""
    secret: ObjectName | None = None
    config_map: ObjectName | None = None
    empty: Quantity | None = None
    """Size limit of an empty folder that lives as long as the pod."""

    @model_validator(mode="after")
    def _one(self) -> VolumeSettings:
        if sum(source is not None for source in (self.claim, self.secret, self.config_map, self.empty)) != 1:
            raise ValueError("a volume has exactly one of claim, secret, config_map and empty")
        return self


class SecretKeySettings(Settings):
    secret: ObjectName
    key: str


class RetrySettings(Settings):
    count: Annotated[int, Field(ge=1, le=20)] = 2
    backoff: Duration = "30s"
    """Before the first retry."""
    factor: Annotated[float, Field(ge=1.0, le=10.0)] = 2.0
    """How much longer each further pause is."""
    max_backoff: Duration = "10m"


class ComponentResources(Settings):
    """What a component's pod asks for; what is left out is the ``defaults`` section's, or the cluster's."""

    cpu: Quantity | None = None
    """Cores, as limit."""
    memory: Quantity | None = None
    """As limit."""
    gpu: GpuSettings | None = None
    node_selector: dict[str, str] | None = None
    """Labels that the node must have."""
    tolerations: tuple[TolerationSettings, ...] | None = None
    shared_memory: Quantity | None = None
    """Size of /dev/shm."""
    volumes: tuple[VolumeSettings, ...] | None = None
    environment: dict[EnvironmentName, str] | None = None
    secret_environment: dict[EnvironmentName, SecretKeySettings] | None = None
    """Environment variables that are keys of secrets."""
    retries: RetrySettings | None = None
    timeout: Duration | None = None
    """After this the pod is ended."""
    cache: bool | None = None
    """Whether results of an earlier run with the same inputs are taken."""


class KubeflowSettings(Settings):
    image: Annotated[str, Field(min_length=1)] = "shelfmark:latest"
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
    """Of all components."""
    components: dict[str, ComponentResources] = Field(default_factory=dict)
    """Component to its own. Tuner, which trains as Trainer does, has Trainer's where it is not named."""
    service_account: ObjectName | None = None
    """Of the run's pods; null: the cluster's default."""
    metadata: Annotated[str, Field(pattern=r"^[^/:]+:\d+$")] = "metadata-grpc-service.kubeflow:8080"
    """Host and port of the cluster's ML Metadata, as the pods see it: the last blessed model is looked up there."""
    artifacts_api: Annotated[str, Field(pattern=r"^https?://[^/@\s]+(/\S*)?$")] | None = None
    """Address of the API server, as the pods see it (``http://ml-pipeline.kubeflow:8888``): the last blessed model is
    looked up through its artifacts API, which Kubeflow Pipelines 3.0 has in place of ML Metadata. Null: in
    ``metadata``."""

    def resources(self, component: str) -> ComponentResources:
        """A component's own settings over the defaults."""
        if component == "Tuner" and component not in self.components:
            component = "Trainer"
        own = self.components.get(component, ComponentResources())
        given = {name: value for name in type(own).model_fields if (value := getattr(own, name)) is not None}
        return self.defaults.model_copy(update=given)
