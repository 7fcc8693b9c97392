"""The compiled package, in plain dictionaries: what the repairs work on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

SCHEMA_VERSION = "2.1.0"
EXECUTOR = "_executor"


@dataclass
class Package:
    """A pipeline specification (schema 2.1, camelCase as in JSON) and the Kubernetes settings beside it.

    Attributes:
      spec: the first document. kubernetes: executor label to its KubernetesExecutorConfig.
      fixed: tasks whose results are never taken from an earlier run.
    """

    spec: dict[str, Any]
    kubernetes: dict[str, dict[str, Any]] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)

    @property
    def tasks(self) -> dict[str, Any]:
        """The root's tasks by name."""
        return self.spec["root"]["dag"]["tasks"]

    @property
    def components(self) -> dict[str, Any]:
        return self.spec["components"]

    @property
    def executors(self) -> dict[str, Any]:
        return self.spec["deploymentSpec"]["executors"]

    def executor(self, task: str) -> dict[str, Any]:
        """The executor of a task whose component is no DAG."""
        return self.executors[self.component(task)["executorLabel"]]

    def executor_or_none(self, task: str) -> dict[str, Any]:
        """The same; empty for a DAG."""
        return self.executors.get(self.component(task).get("executorLabel", ""), {})

    def component(self, task: str) -> dict[str, Any]:
        """The component of a task."""
        return self.components[self.tasks[task]["componentRef"]["name"]]

    def containers(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Task and container of every task that is one."""
        for task in list(self.tasks):
            label = self.component(task).get("executorLabel")
            if label and "container" in self.executors[label]:
                yield task, self.executors[label]["container"]

    def all_tasks(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and content of every task, those inside of DAG components too."""
        yield from self.tasks.items()
        for component in self.components.values():
            yield from component.get("dag", {}).get("tasks", {}).items()

    def add(self, name: str, component: dict[str, Any], task: dict[str, Any], executor: dict[str, Any]) -> None:
        """Adds a task with a component and an executor of its own, never served from the cache."""
        self.executors[name + EXECUTOR] = executor
        self.components[name] = {"executorLabel": name + EXECUTOR, **component}
        self.tasks[name] = {"componentRef": {"name": name}, "taskInfo": {"name": name}, **task}
        self.fixed.add(name)

    def depend(self, task: str, on: str) -> None:
        """``task`` waits for ``on``."""
        dependencies = self.tasks[task].setdefault("dependentTasks", [])
        if on not in dependencies:
            dependencies.append(on)
            dependencies.sort()

    def remove(self, task: str) -> None:
        """Takes a task with its component and executor away."""
        name = self.tasks.pop(task)["componentRef"]["name"]
        component = self.components.pop(name)
        del self.executors[component["executorLabel"]]
        for other in self.tasks.values():
            if task in other.get("dependentTasks", []):
                other["dependentTasks"].remove(task)
