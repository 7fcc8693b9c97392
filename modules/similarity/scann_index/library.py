"""ScaNN's extension module, without the Python package around it, which needs TensorFlow and pickles ids.

A tree of leaves. Those hold the vectors, which are compared for all queries of a batch that look into a leaf at once;
or, by Guo, Sun, Lindgren, Geng, Simcha, Chern, Kumar 2020, 4-bit codes of pairs of numbers, scored by table look-ups in
registers, and the best of them scored again with quantised vectors. Those are rounded so that the error along the
vector is small (noise shaping), which halves the neighbours that int8 gets wrong.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from modules.similarity.scann_index.settings import Effort, ScannSettings

_MODULE = "scann_pybind"
_WIDTH = 2
"""Numbers that a code stands for."""

_EXACT = {
    "int8": "fixed_point { enabled: true noise_shaping_threshold: 0.5 }",
    "bfloat16": "bfloat16 { enabled: true noise_shaping_threshold: nan }",
    "float32": "",
}


@functools.cache
def native() -> Any:
    """The module with ``ScannNumpy``.

    Raises:
      ImportError: ScaNN is not installed.
    """
    if _MODULE in sys.modules:
        return sys.modules[_MODULE]
    package = importlib.util.find_spec("scann")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for suffix in EXTENSION_SUFFIXES:
            path = Path(folder) / "scann_ops" / "cc" / "python" / f"{_MODULE}{suffix}"
            if path.exists():
                spec = importlib.util.spec_from_file_location(_MODULE, path)
                assert spec is not None
                assert spec.loader is not None
                module = importlib.util.module_from_spec(spec)
                sys.modules[_MODULE] = module
                spec.loader.exec_module(module)
                return module
    raise ImportError("ScaNN is not installed: pip install scann==1.4.2")


def configuration(dimension: int, leaves: int, effort: Effort, settings: ScannSettings, seed: int) -> str:
    """A ScannConfig in protobuf's text format: inner product over unit vectors."""
    scoring = "brute_force {}" if settings.scoring == "vectors" else _codes(dimension, effort, settings, seed)
    return f"""
num_neighbors: {effort.k}
distance_measure {{ distance_measure: "DotProductDistance" }}
partitioning {{
  num_children: {leaves}
  min_cluster_size: 20
  max_clustering_iterations: 12
  single_machine_center_initialization: RANDOM_INITIALIZATION
  clustering_seed: {seed}
  partitioning_type: SPHERICAL
  partitioning_distance {{ distance_measure: "SquaredL2Distance" }}
  query_spilling {{ spilling_type: FIXED_NUMBER_OF_CENTERS max_spill_centers: {effort.leaves} }}
  query_tokenization_distance_override {{ distance_measure: "DotProductDistance" }}
  query_tokenization_type: FLOAT
  expected_sample_size: {settings.sample}
}}
{scoring}
"""


def _codes(dimension: int, effort: Effort, settings: ScannSettings, seed: int) -> str:
    threshold = "nan" if settings.anisotropic is None else settings.anisotropic
    reordering = f"exact_reordering {{ approx_num_neighbors: {effort.reorder} {_EXACT[settings.quantisation]} }}"
    if settings.mapped:
        reordering = ""
    return f"""
hash {{
  asymmetric_hash {{
    lookup_type: INT8_LUT16
    use_residual_quantization: true
    use_global_topn: true
    quantization_distance {{ distance_measure: "SquaredL2Distance" }}
    num_clusters_per_block: 16
    projection {{ {_blocks(dimension)} }}
    fixed_point_lut_conversion_options {{ float_to_int_conversion_method: ROUND }}
    noise_shaping_threshold: {threshold}
    expected_sample_size: {settings.sample}
    max_clustering_iterations: 10
    clustering_seed: {seed}
    sampling_seed: {seed}
  }}
}}
{reordering}
"""


def _blocks(dimension: int) -> str:
    whole, rest = divmod(dimension, _WIDTH)
    if not rest:
        return f"input_dim: {dimension} projection_type: CHUNK num_blocks: {whole} num_dims_per_block: {_WIDTH}"
    blocks = [(whole, _WIDTH), (1, rest)] if whole else [(1, rest)]
    variable = " ".join(f"variable_blocks {{ num_blocks: {n} num_dims_per_block: {w} }}" for n, w in blocks)
    return f"input_dim: {dimension} projection_type: VARIABLE_CHUNK {variable}"
