"""Names for the arrays that functions take and return; their docstrings give the shapes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""Numbers in double precision: coordinates, depths, matrices."""

Pixels = NDArray[np.uint8]
"""A picture (H, W, 3), 8-bit RGB."""
