"""MATLAB files up to version 7, in which datasets list their splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scipy.io import loadmat

from ...errors import DepthLMError


def read_mat(path: Path, key: str) -> Any:
    """Return an array of a `.mat` file.

    Raises:
        DepthLMError: For a file that has no such array.
    """
    try:
        return loadmat(path)[key]
    except Exception as error:  # damaged files raise what they like
        raise DepthLMError(
            f"{path} has no array {key} ({error!r}); is it the dataset's own file, complete?"
        ) from error
