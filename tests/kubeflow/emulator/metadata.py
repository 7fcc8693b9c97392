"""ML Metadata as Kubeflow uses it (v2/metadata/client.go, converter.go), and its gRPC service."""

from __future__ import annotations

import threading
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb
from ml_metadata.proto import metadata_store_service_pb2 as service_pb
from ml_metadata.proto import metadata_store_service_pb2_grpc as service_grpc

MESSAGE = 4 * 1024**2
"""Bytes of one gRPC message, where nothing else is set."""


def to_value(value: Any) -> pb.Value:
    """``StructValueToMLMDValue``: null is refused."""
    found = pb.Value()
    if isinstance(value, str):
        found.string_value = value
    elif isinstance(value, bool):
        found.int_value = int(value)
    elif isinstance(value, int | float):
        found.double_value = value
    elif isinstance(value, list):
        found.struct_value.update({"list": value})
    elif isinstance(value, dict):
        found.struct_value.update({"struct": value})
    else:
        raise ValueError("failed to convert RuntimeArtifact to MLMD artifact: unknown/unsupported value type NullValue")
    return found


def from_value(value: pb.Value) -> Any:
    """``toRuntimeArtifact``: every number is a double."""
    kind = value.WhichOneof("value")
    if kind == "struct_value":
        return json_format.MessageToDict(value.struct_value)
    return float(value.int_value) if kind == "int_value" else getattr(value, kind)


@dataclass(frozen=True)
class Certificate:
    """A server's, in PEM, and the file of the authority that signed it."""

    key: bytes
    chain: bytes
    authority: Path


class Metadata:
    """The store, with what driver and launcher do in it."""

    def __init__(self, file: Path):
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = str(file)
        self.store = metadata_store.MetadataStore(config)
        self._lock = threading.Lock()

    def run(self, pipeline: str, run_id: str, namespace: str, root: str) -> tuple[int, int]:
        """Contexts of pipeline and run (``GetPipeline``)."""
        contexts = []
        for kind, name, properties in (
            ("system.Pipeline", pipeline, {}),
            ("system.PipelineRun", run_id, {"namespace": namespace, "pipeline_root": root}),
        ):
            found = self.store.get_context_by_type_and_name(kind, name)
            if found is None:
                context = pb.Context(type_id=self.store.put_context_type(pb.ContextType(name=kind)), name=name)
                for key, value in properties.items():
                    context.custom_properties[key].string_value = value
                contexts.append(self.store.put_contexts([context])[0])
                if kind == "system.PipelineRun":
                    self.store.put_parent_contexts([pb.ParentContext(child_id=contexts[1], parent_id=contexts[0])])
            else:
                contexts.append(found.id)
        return contexts[0], contexts[1]

    def start(self, kind: str, contexts: tuple[int, int], inputs: dict[str, list[int]], **properties: str) -> int:
        """A new execution (``CreateExecution``)."""
        execution = pb.Execution(type_id=self.store.put_execution_type(pb.ExecutionType(name=kind)))
        execution.last_known_state = pb.Execution.RUNNING
        for key, value in properties.items():
            execution.custom_properties[key].string_value = value
        events = [
            (self._artifact(number), self._event(pb.Event.INPUT, name))
            for name, numbers in inputs.items()
            for number in numbers
        ]
        return self._put(execution, events, contexts)

    def finish(
        self, number: int, contexts: tuple[int, int], outputs: dict[str, int], parameters: dict[str, Any], state: str
    ) -> None:
        """``PublishExecution``."""
        execution = self.store.get_executions_by_id([number])[0]
        execution.last_known_state = getattr(pb.Execution, state)
        if parameters:
            execution.custom_properties["outputs"].struct_value.update(parameters)
        events = [(self._artifact(artifact), self._event(pb.Event.OUTPUT, n)) for n, artifact in outputs.items()]
        self._put(execution, events, contexts)

    def record(self, name: str, title: str, uri: str, metadata: dict[str, Any]) -> int:
        """A new artifact (``RecordArtifact``)."""
        artifact = pb.Artifact(
            type_id=self.store.put_artifact_type(pb.ArtifactType(name=title)), uri=uri, state=pb.Artifact.LIVE
        )
        for key, value in metadata.items():
            artifact.custom_properties[key].CopyFrom(to_value(value))
        if "display_name" not in artifact.custom_properties:
            artifact.custom_properties["display_name"].string_value = name
        artifact.custom_properties["store_session_info"].string_value = "null"
        if artifact.ByteSize() > MESSAGE:
            # Of the driver's and launcher's client up to 2.15; since 2.16 it is 100 MB, the service's is still this.
            raise ValueError(f"received message larger than max ({artifact.ByteSize()} vs. {MESSAGE})")
        return int(self.store.put_artifacts([artifact])[0])

    def runtime_artifact(self, number: int) -> dict[str, Any]:
        """An input artifact as the driver sends it: without its type."""
        artifact = self._artifact(number)
        properties = [*artifact.properties.items(), *artifact.custom_properties.items()]
        return {
            "name": str(number),
            "uri": artifact.uri,
            "metadata": {name: from_value(value) for name, value in properties},
            "type": {"instanceSchema": ""},
        }

    def title(self, number: int) -> str:
        """Title of an artifact's type."""
        return str(self._artifact(number).type)

    def output_key(self, number: int) -> str:
        """Name of the output that an artifact is."""
        events = self.store.get_events_by_artifact_ids([number])
        return str(next(e.path.steps[0].key for e in events if e.type == pb.Event.OUTPUT))

    def outputs(self, execution: int) -> tuple[dict[str, int], dict[str, Any]]:
        """Artifacts and parameters that an execution gave."""
        events = self.store.get_events_by_execution_ids([execution])
        artifacts = {e.path.steps[0].key: e.artifact_id for e in events if e.type == pb.Event.OUTPUT}
        values = self.store.get_executions_by_id([execution])[0].custom_properties["outputs"].struct_value
        return artifacts, dict(values.items())

    def serve(self, tls: Certificate | None = None) -> tuple[grpc.Server, str]:
        """Its gRPC service, with TLS or without (KFP: ``METADATA_TLS_ENABLED``), and what clients call it by."""
        methods = {
            name: grpc.unary_unary_rpc_method_handler(
                self._method(name),
                request_deserializer=getattr(service_pb, f"{name}Request").FromString,
                response_serializer=getattr(service_pb, f"{name}Response").SerializeToString,
            )
            for name in vars(service_grpc.MetadataStoreServiceServicer)
            if not name.startswith("_") and hasattr(service_pb, f"{name}Request")
        }
        server = grpc.server(futures.ThreadPoolExecutor(2))
        handler = grpc.method_handlers_generic_handler("ml_metadata.MetadataStoreService", methods)
        server.add_generic_rpc_handlers((handler,))
        if tls is None:
            address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        else:
            port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(tls.key, tls.chain)]))
            address = f"grpcs://localhost:{port}?ca={tls.authority}"
        server.start()
        return server, address

    def _method(self, name: str) -> Any:
        def call(request: Any, context: Any) -> Any:
            response = getattr(service_pb, f"{name}Response")()
            with self._lock:
                self.store._call(name, request, response)
            return response

        return call

    def _artifact(self, number: int) -> pb.Artifact:
        return self.store.get_artifacts_by_id([number])[0]

    def _put(self, execution: pb.Execution, events: list[Any], contexts: tuple[int, int]) -> int:
        found = self.store.get_contexts_by_id(list(contexts))
        return int(self.store.put_execution(execution, events, found)[0])

    @staticmethod
    def _event(kind: Any, name: str) -> pb.Event:
        return pb.Event(type=kind, path=pb.Event.Path(steps=[pb.Event.Path.Step(key=name)]))
