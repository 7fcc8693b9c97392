"""A task's pod as the driver patches it (v2/driver/driver.go ``initPodSpecPatch``, k8s.go)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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
    deadline: int | None = None

    def schedulable(self, resources: set[str]) -> bool:
        """Whether a node that has these resources could take it."""
        return set(self.limits) <= {"cpu", "memory", *resources}


def pod_of(container: dict[str, Any], config: dict[str, Any]) -> Pod:
    """From the container and its executor's Kubernetes settings."""
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
    return pod


def _name(mount: dict[str, Any], parameter: str, older: str) -> str:
    if parameter in mount:
        return str(mount[parameter]["runtimeValue"]["constant"])
    return str(mount[older])
