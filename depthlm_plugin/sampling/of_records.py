"""What decides the samples of a records file that no recipe and no dataset_info.json describes."""

from __future__ import annotations

from ..config.block import DepthLMConfig
from ..errors import ConfigError
from ..records import storage
from ..records.stated import NOTHING, Stated
from .planner import Planner


def planner_of(
    records: str,
    config: DepthLMConfig,
    *,
    train: bool = False,
    size_multiple: int = 28,
    stated: Stated = NOTHING,
    media_dir: str | None = None,
) -> Planner:
    """Return the planner of a records file; the file's stem is the name of the dataset.

    Args:
        records: A records file or folder (JSONL, JSON, Parquet).
        config: What is shown and asked.
        train: Whether to crop for training; evaluation shows the whole image.
        size_multiple: Patch size x merge size of the model, pixels.
        stated: What is stated of the records.
        media_dir: Folder that image paths start from; the file's own folder by default.

    Raises:
        ConfigError: For a multiple below 1.
    """
    if size_multiple < 1:
        raise ConfigError(f"size_multiple must be 1 or more, found {size_multiple}")
    return Planner(
        config,
        storage.stem(records),
        (media_dir or storage.folder_of(records),),
        train,
        size_multiple,
        stated,
        records=records,
    )
