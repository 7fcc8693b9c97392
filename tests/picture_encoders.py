"""Random weights of picture encoders, which tests make themselves, and the network by NumPy alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from modules.encoders.picture_conversion import convert_pictures
from modules.vision.efficientnet_lite import weight_shapes
from tests.torch_files import torch_bytes

Weights = dict[str, np.ndarray]


def random_weights(variant: str, seed: int = 0) -> Weights:
    """Weights under which values neither vanish nor explode on their way through."""
    draw = np.random.default_rng(seed)
    weights = {}
    for name, shape in weight_shapes(variant).items():
        if len(shape) == 4:
            value = draw.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape)
        elif name.endswith((".weight", ".running_var")):
            value = draw.uniform(0.5, 1.5, shape)
        else:
            value = draw.normal(0, 0.3, shape)
        weights[name] = value.astype(np.float32)
    return weights


def _same(values: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """Windows (batch, height, width, channels, kernel, kernel), padded as TensorFlow's ``same`` says."""
    pads = []
    for side in values.shape[1:3]:
        need = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        pads.append((need // 2, need - need // 2))
    padded = np.pad(values, [(0, 0), *pads, (0, 0)])
    return np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (1, 2))[:, ::stride, ::stride]


def _normal(weights: Weights, name: str, values: np.ndarray, active: bool = True) -> np.ndarray:
    scale, shift, mean, variance = (
        weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    values = (values - mean) / np.sqrt(variance + 1e-3) * scale + shift
    return np.clip(values, 0, 6) if active else values


def vectors_by_numpy(weights: Weights, pictures: np.ndarray) -> np.ndarray:
    """The mean of the network's last values: (batch, height, width, 3) to (batch, 1280)."""
    return maps_by_numpy(weights, pictures)["head"].mean(axis=(1, 2))


def maps_by_numpy(weights: Weights, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Values of each stage's last convolution of single channels, and the network's last, by the tensors alone.

    What strides there are follows from the first block of each stage's kernel: Tan and Le 2019, table 1. A new stage
    has other channels.

    Args:
      pictures: (batch, height, width, 3).

    Returns:
      ``stage1`` to ``stage7`` and ``head``, each (batch, height, width, channels).
    """
    stages: list[np.ndarray] = []
    values = (pictures.astype(np.float64) - 127) / 128
    values = np.einsum("bhwcij,ocij->bhwo", _same(values, 3, 2), weights["_conv_stem.weight"])
    values = _normal(weights, "_bn0", values)
    number, last = 0, 0
    strides = iter((1, 2, 2, 2, 1, 2, 1))
    while f"_blocks.{number}._project_conv.weight" in weights:
        own = f"_blocks.{number}."
        project = weights[f"{own}_project_conv.weight"][:, :, 0, 0]
        depthwise = weights[f"{own}_depthwise_conv.weight"][:, 0]
        stride = 1 if len(project) == last else next(strides)
        inner = values
        if f"{own}_expand_conv.weight" in weights:
            inner = _normal(weights, f"{own}_bn0", inner @ weights[f"{own}_expand_conv.weight"][:, :, 0, 0].T)
        inner = np.einsum("bhwcij,cij->bhwc", _same(inner, depthwise.shape[1], stride), depthwise)
        inner = _normal(weights, f"{own}_bn1", inner)
        stages = stages[:-1] if len(project) == last else stages
        stages.append(inner)
        inner = inner @ project.T
        inner = _normal(weights, f"{own}_bn2", inner, active=False)
        values = values + inner if len(project) == last else inner
        number, last = number + 1, len(project)
    values = _normal(weights, "_bn1", values @ weights["_conv_head.weight"][:, :, 0, 0].T)
    return {**{f"stage{number}": values for number, values in enumerate(stages, 1)}, "head": values}


def tiny_picture_encoder(folder: Path, variant: str = "efficientnet_lite0") -> Path:
    """Writes a picture encoder of random weights; returns its folder."""
    package = folder.with_suffix(".pth")
    package.parent.mkdir(parents=True, exist_ok=True)
    package.write_bytes(torch_bytes(random_weights(variant)))
    convert_pictures(package, folder, folder.name, None)
    return folder
