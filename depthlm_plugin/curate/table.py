"""The table of datasets in README.md, made of what the readers declare.

`python -m depthlm_plugin.curate.table` prints it; with `--write` it is put into README.md, between
its marks.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .reading import Reader
from .registry import dataset_names, reader_class

README = Path(__file__).with_name("README.md")
BEGIN, END = (
    "<!-- made by: python -m depthlm_plugin.curate.table --write -->",
    "<!-- end of the table of datasets -->",
)
_MOTION = {"pose": "poses", "timestamp": "times", "speed_m_s": "speed"}


def datasets_table() -> str:
    """Return the Markdown table of all shipped datasets, one a row, in the order of their names."""
    lines = [
        "| name | what | splits | stored depth | poses, times | options | `--compat official` |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dataset_names():
        reader = reader_class(name)
        cells = (
            f"`{name}`",
            reader.card()[0].rstrip("."),
            ", ".join(reader.SPLITS),
            reader.STORED_DEPTH,
            ", ".join(_MOTION[key] for key in reader.MOTION),
            ", ".join(f"`{option}=`" for option in reader.options()),
            _official(reader),
        )
        lines.append(f"| {' | '.join(cell or '-' for cell in cells)} |")
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """Return the text of README.md with the table of now between its marks."""
    before, _, rest = text.partition(f"{BEGIN}\n")
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{datasets_table()}{END}{after}"


def _official(reader: type[Reader]) -> str:
    """Return what `--compat official` gives, in a few words; empty where it is refused."""
    official = reader.OFFICIAL
    if official is None:
        return "as given" if reader.VERBATIM else ""
    scale = "" if official.scale == 1 else f" x {official.scale:g}"
    border = f"{official.border_px} px border" if official.border_px else None
    parts = (f"{official.depth_kind}{scale}", official.split, border)
    return ", ".join(part for part in parts if part)


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(datasets_table(), end="")
