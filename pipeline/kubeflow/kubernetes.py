"""The package's second document: what only Kubernetes knows, as kfp-kubernetes writes it."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format

from modules.settings.kubeflow import SHARED_MEMORY_PATH, ComponentResources, VolumeSettings, seconds
from pipeline.kubeflow.document import Package


def set_kubernetes(package: Package, task: str, settings: ComponentResources) -> None:
    """Node selector and affinity, tolerations, shared memory, volumes, secrets and timeout of a task."""
    from kfp.kubernetes import kubernetes_executor_config_pb2 as pb

    config = pb.KubernetesExecutorConfig()
    if settings.node_selector:
        config.node_selector.labels.update(settings.node_selector)
    for term in settings.node_affinity or ():
        # The weight, where there is one, is what makes the server prefer such nodes instead of requiring them.
        config.node_affinity.add(**term.model_dump(exclude_none=True))
    for toleration in settings.tolerations or ():
        config.tolerations.add(**toleration.model_dump(exclude_none=True))
    if settings.shared_memory is not None:
        # As a plain folder in memory: servers older than 2.5 do not know ``enabledSharedMemory``.
        config.empty_dir_mounts.add(
            volume_name="shared-memory",
            mount_path=SHARED_MEMORY_PATH,
            medium="Memory",
            size_limit=settings.shared_memory,
        )
    for number, volume in enumerate(settings.volumes or ()):
        _mount(config, volume, f"volume-{number}")
    for name, key in sorted((settings.secret_environment or {}).items()):
        secret = config.secret_as_env.add(secret_name=key.secret)
        secret.secret_name_parameter.runtime_value.constant.string_value = key.secret
        secret.key_to_env.add(secret_key=key.key, env_var=name)
    if settings.timeout is not None:
        config.active_deadline_seconds = seconds(settings.timeout)
    document = json_format.MessageToDict(config)
    if document:
        package.kubernetes[package.component(task)["executorLabel"]] = document


def platform_document(package: Package) -> dict[str, Any] | None:
    """The second document; None where nothing is to be said."""
    if not package.kubernetes:
        return None
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": package.kubernetes}}}}


def _mount(config: Any, volume: VolumeSettings, name: str) -> None:
    # A name goes in twice: as the server reads it today, and as older ones did.
    if volume.claim is not None:
        mount = config.pvc_mount.add(mount_path=volume.path, constant=volume.claim)
        mount.pvc_name_parameter.runtime_value.constant.string_value = volume.claim
    elif volume.secret is not None:
        secret = config.secret_as_volume.add(mount_path=volume.path, secret_name=volume.secret)
        secret.secret_name_parameter.runtime_value.constant.string_value = volume.secret
    elif volume.config_map is not None:
        entry = config.config_map_as_volume.add(mount_path=volume.path, config_map_name=volume.config_map)
        entry.config_map_name_parameter.runtime_value.constant.string_value = volume.config_map
    else:
        config.empty_dir_mounts.add(volume_name=name, mount_path=volume.path, size_limit=volume.empty)
