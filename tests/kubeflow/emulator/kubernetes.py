"""A task's pod as the driver patches it (v2/driver/driver.go ``initPodSpecPatch``, k8s.go)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

EVERY_POD = ("kfp-launcher", "gcs-scratch", "s3-scratch", "minio-scratch", "var-run-argo", "tmp-dir-argo")
"""Volumes that are there already (argocompiler/container.go, Argo's workflowpod.go)."""


class InvalidPod(ValueError):
    """Kubernetes' validation refuses it."""


@dataclass
class Pod:
    """What Kubernetes would be asked for; volumes are (kind, name, mount path)."""

    image: str
    limits: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    secret_environment: dict[str, tuple[str, str]] = field(default_factory=dict)
    node_selector: dict[str, str] = field(default_factory=dict)
    tolerations: list[dict[str, Any]] = field(default_factory=list)
    volumes: list[tuple[str, str, str]] = field(default_factory=list)
    required_nodes: list[list[dict[str, Any]]] = field(default_factory=list)
    preferred_nodes: list[tuple[int, list[dict[str, Any]]]] = field(default_factory=list)
    deadline: int | None = None

    def schedulable(self, resources: set[str]) -> bool:
        """Whether a node that has these resources could take it."""
        return set(self.limits) <= {"cpu", "memory", *resources}


def pod_of(container: dict[str, Any], config: dict[str, Any]) -> Pod:
    """From the container and its executor's Kubernetes settings. Raises InvalidPod."""
    pod = Pod(container["image"], environment={e["name"]: e["value"] for e in container.get("env", [])})
    resources = container.get("resources", {})
    for name in ("cpu", "memory"):
        old = resources.get(f"{name}Limit")
        new = resources.get(f"resource{name.capitalize()}Limit") or (old and f"{old}{'G' if name == 'memory' else ''}")
        if new:
            pod.limits[name] = new
    accelerator = resources.get("accelerator", {})
    kind = accelerator.get("resourceType") or accelerator.get("type")
    if kind:
        pod.limits[kind] = accelerator.get("resourceCount") or str(accelerator["count"])
    pod.node_selector = config.get("nodeSelector", {}).get("labels", {})
    pod.tolerations = config.get("tolerations", [])
    for term in config.get("nodeAffinity", []):
        if "weight" in term:
            pod.preferred_nodes.append((term["weight"], term["matchExpressions"]))
        else:
            pod.required_nodes.append(term["matchExpressions"])
    pod.deadline = int(config["activeDeadlineSeconds"]) if "activeDeadlineSeconds" in config else None
    for mount in config.get("pvcMount", []):
        pod.volumes.append(("claim", _name(mount, "pvcNameParameter", "constant"), mount["mountPath"]))
    for mount in config.get("secretAsVolume", []):
        pod.volumes.append(("secret", _name(mount, "secretNameParameter", "secretName"), mount["mountPath"]))
    for mount in config.get("configMapAsVolume", []):
        name = _name(mount, "configMapNameParameter", "configMapName")
        pod.volumes.append(("config map", name, mount["mountPath"]))
    for mount in config.get("emptyDirMounts", []):
        pod.volumes.append((mount.get("medium") or "empty", mount["volumeName"], mount["mountPath"]))
    for secret in config.get("secretAsEnv", []):
        for key in secret["keyToEnv"]:
            name = _name(secret, "secretNameParameter", "secretName")
            pod.secret_environment[key["envVar"]] = name, key["secretKey"]
    _validate_volumes(pod)
    return pod


def _validate_volumes(pod: Pod) -> None:
    """The driver names a volume after what is mounted; a volume's name is a DNS label (RFC 1123), and there once."""
    kinds = dict.fromkeys(EVERY_POD, "of every pod")
    for kind, name, _ in pod.volumes:
        if re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name) is None:
            raise InvalidPod(f"spec.volumes.name: Invalid value: {name!r}: a lowercase RFC 1123 label must consist of")
        if kinds.setdefault(name, kind) != kind:
            raise InvalidPod(f"spec.volumes.{name}: Forbidden: may not specify more than 1 volume type")


def _name(mount: dict[str, Any], parameter: str, older: str) -> str:
    if parameter in mount:
        return str(mount[parameter]["runtimeValue"]["constant"])
    return str(mount[older])
