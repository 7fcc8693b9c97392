"""Features of an objective in the TensorFlow Metadata schema of the examples."""

from __future__ import annotations

from tensorflow_metadata.proto.v0 import schema_pb2

from modules import examples


def int_feature(name: str, least: int) -> schema_pb2.Feature:
    """Class indices of at least ``least``."""
    feature = schema_pb2.Feature(name=name, type=schema_pb2.INT)
    feature.int_domain.min = least
    return feature


def always_one(feature: schema_pb2.Feature) -> schema_pb2.Feature:
    """The same feature, of which every example has one value."""
    feature.presence.min_fraction = 1.0
    feature.presence.min_count = 1
    feature.shape.dim.add(size=1)
    return feature


def weight_feature(objective: str) -> schema_pb2.Feature:
    """The product's weight in the evaluation."""
    feature = always_one(schema_pb2.Feature(name=examples.eval_weight(objective), type=schema_pb2.FLOAT))
    feature.float_domain.min = 0.0
    return feature


def source_feature(objective: str) -> schema_pb2.Feature:
    """Where people's label comes from."""
    feature = schema_pb2.Feature(name=examples.label_source(objective), type=schema_pb2.BYTES)
    feature.value_count.min = feature.value_count.max = 1
    return feature
