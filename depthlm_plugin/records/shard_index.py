"""The index of a folder of shards: `shards.json`, which alone is read to open the folder.

It reads `{"format": 2, "checksum", "rows": total, "shards": [{"file", "rows", "bytes",
"checksum"}, ...]}`; its own checksum is that of its text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ..errors import DepthLMError
from . import storage
from .checksums import UNSEALED, is_whole, sealed

INDEX = "shards.json"
FORMAT = 2


@dataclass(frozen=True)
class Shard:
    """A file as the index has it.

    Attributes:
        file: Its name in the folder.
        rows: How many records it holds.
        bytes: Its size.
        checksum: That of its head, which holds those of its batches.
    """

    file: str
    rows: int
    bytes: int
    checksum: str


def write_index(folder: str, shards: Sequence[Shard]) -> None:
    """Write the index of a local folder of these shards."""
    index = {
        "format": FORMAT,
        "checksum": UNSEALED.decode(),
        "rows": sum(shard.rows for shard in shards),
        "shards": [asdict(shard) for shard in shards],
    }
    with open(os.path.join(folder, INDEX), "wb") as file:
        file.write(sealed(json.dumps(index, indent=1).encode()))


def read_index(folder: str) -> list[Shard] | None:
    """Return the shards of a folder, or None where it has no index.

    Raises:
        DepthLMError: For an index of another format, or a damaged one.
    """
    path = storage.join(folder, INDEX)
    try:
        content = storage.read_bytes(path)
        index = json.loads(content)
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise DepthLMError(
            f"{path} cannot be read ({error}); copy the folder again, or write it again with"
            " depthlm shard"
        ) from error
    version = index.get("format") if isinstance(index, dict) else None
    if version != FORMAT:
        raise DepthLMError(
            f"{path} has the format {version!r}, expected {FORMAT}; write the folder again with"
            " this version's depthlm shard (another file of that name must be called something"
            " else)"
        )
    try:
        if not is_whole(content):
            raise ValueError("its checksum differs")
        shards = [Shard(**shard) for shard in index["shards"]]
        if any(storage.name(shard.file) != shard.file for shard in shards):
            raise ValueError("a shard lies outside the folder")
        if sum(shard.rows for shard in shards) != index["rows"]:
            raise ValueError(f"its shards do not add up to {index['rows']} rows")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DepthLMError(
            f"{path} is damaged ({error!r}); copy it again, or write the folder again with depthlm"
            " shard"
        ) from error
    return shards
