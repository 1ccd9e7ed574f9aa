"""MATLAB files up to version 7, for split lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import ConfigError, DepthLMError


def read_mat(path: Path, key: str) -> Any:
    """Return an array of a `.mat` file.

    Raises:
        ConfigError: Without SciPy.
        DepthLMError: For a file that has no such array.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ConfigError(
            f"{path} is a MATLAB file; SciPy cannot be imported ({error}):"
            ' pip install "depthlm-plugin[curate]"'
        ) from error
    try:
        return loadmat(path)[key]
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise DepthLMError(
            f"{path} has no array {key} ({error!r}); is it the dataset's own file, complete?"
        ) from error
