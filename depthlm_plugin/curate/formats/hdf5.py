"""HDF5 files, whose arrays are looked at before they are read: small files can claim any size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError, DepthLMError, RecordError

_MOST_BYTES = 1 << 28  # of an array that is read at once; the largest of a dataset is a 100th


def open_hdf5(path: Path) -> Any:
    """Return an open file.

    Raises:
        ConfigError: Without h5py.
        OSError: For a file that is not HDF5, or damaged.
    """
    try:
        import h5py
    except ImportError as error:
        raise ConfigError(
            f"{path} is an HDF5 file; h5py cannot be imported ({error}):"
            ' pip install "depthlm-plugin[curate]"'
        ) from error
    return h5py.File(path, "r")


def stored_array(file: Any, name: str) -> Any:
    """Return an array of an open file, which is not read yet.

    Raises:
        ValueError: For no such array, or one whose numbers are in other files, as those of links.
    """
    import h5py

    link = file.get(name, getlink=True)
    array = file[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
        raise ValueError(f"it has no array {name!r} of its own")
    return array


def read_hdf5(
    path: Path, where: str, shape: tuple[int, ...] | None = None, name: str = "dataset"
) -> NDArray[Any]:
    """Return an array of a file.

    Args:
        path: The file.
        where: What to name in errors.
        shape: The shape that it must have, compared before reading; None: any, of 256 MB at most.
        name: The array's name.

    Raises:
        RecordError: `damaged file`, `bad depth array` for another shape.
        ConfigError: Without h5py.
    """
    try:
        with open_hdf5(path) as file:
            array = stored_array(file, name)
            if shape is not None and array.shape != shape:
                raise RecordError(
                    "bad depth array",
                    where,
                    f"{path} holds {array.dtype} of the shape {array.shape}, expected {shape}",
                )
            if array.size * array.dtype.itemsize > _MOST_BYTES:
                raise ValueError(f"its array {name!r} has the shape {array.shape}")
            return np.asarray(array)
    except DepthLMError:
        raise
    except Exception as error:  # HDF5's filters raise what they like
        raise RecordError(
            "damaged file", where, f"{path} cannot be read ({error}); fetch it again"
        ) from error
