"""The grid of a model's folder, from its image processor alone: no weights are loaded."""

from __future__ import annotations

from ...errors import ConfigError
from .grid import Grid
from .registry import grid_of


def grid_of_folder(folder: str) -> Grid:
    """Return the sizes of views that the image processor saved in a folder leaves alone.

    Args:
        folder: A model's or adapter's folder, or the name of a model.

    Raises:
        ConfigError: When there is no processor.
        HostError: For one that cannot be trusted: see `registry.grid_of`.
    """
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(folder)
    except (OSError, ValueError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(
            f"{folder} holds no processor ({first}); give the base model's folder as --processor,"
            " of which only the processor is read"
        ) from error
    return grid_of(processor)
