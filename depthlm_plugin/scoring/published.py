"""DepthLMBench: its eight sets, and the delta1 that others published on them.

The numbers are of the DepthLM paper (Cai et al., arXiv 2509.25413) and, for VLM3, of its authors.
None was measured here.
"""

from __future__ import annotations

from dataclasses import dataclass

SETS = {
    "argoverse2": "Argoverse 2",
    "ddad": "DDAD",
    "nuscenes": "nuScenes",
    "eth3d": "ETH3D",
    "scannetpp": "ScanNet++",
    "sunrgbd": "SUN RGB-D",
    "ibims1": "iBims-1",
    "nyuv2": "NYUv2",
}
"""Name of each evaluation set -> how papers write it, in their order."""

POINTS = 8192
"""Random points of a set that are asked about."""


@dataclass(frozen=True)
class Row:
    """Published delta1 of one method.

    Attributes:
        name: Of the method.
        delta1: By set; sets that were not published are missing.
        mean: As published: over all eight sets, or None.
    """

    name: str
    delta1: dict[str, float]
    mean: float | None = None


def _row(name: str, *values: float) -> Row:
    *sets, mean = values
    return Row(name, dict(zip(SETS, sets, strict=True)), mean)


PUBLISHED = (
    _row("DepthLM-7B", 0.833, 0.747, 0.865, 0.718, 0.850, 0.859, 0.920, 0.915, 0.838),
    _row("DepthLM-3B", 0.808, 0.724, 0.870, 0.745, 0.838, 0.850, 0.890, 0.868, 0.824),
    _row("DepthLM-12B (Pixtral)", 0.734, 0.670, 0.819, 0.653, 0.834, 0.786, 0.870, 0.799, 0.771),
    _row("VLM3-4B", 0.896, 0.818, 0.970, 0.810, 0.976, 0.867, 0.960, 0.935, 0.904),
    _row("GPT-5", 0.218, 0.302, 0.382, 0.313, 0.428, 0.471, 0.307, 0.540, 0.370),
    _row("constant 2 m", 0.006, 0.010, 0.010, 0.106, 0.305, 0.384, 0.280, 0.383, 0.186),
    Row(
        "UniDepthV2",
        {"ddad": 0.882, "nuscenes": 0.870, "eth3d": 0.852, "sunrgbd": 0.964, "ibims1": 0.945},
    ),
)
