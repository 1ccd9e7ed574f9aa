"""Raw data that names files elsewhere, by links or in lists, reads nothing outside of its root."""

import re

import pytest
from support.raw.every import EVERY

from depthlm_plugin.curate.pipeline.labelling import Job
from depthlm_plugin.curate.registry import make_reader
from depthlm_plugin.errors import DepthLMError

OUTSIDE = "file outside its root"
LEADS = "leads out of --root"
# Their files of lidar points, tables and poses are not looked at here.
LIDAR = {"argoverse2", "ddad", "nuscenes", "waymo"}
DATASETS = [
    pytest.param(dataset, marks=() if dataset in ("folder", "tum") else pytest.mark.slow)
    for dataset in EVERY
    if dataset not in LIDAR
]
NEVER_READ = {  # names, of any dataset
    *("Thumbs.db", "scene.txt", "dataset_info.json", "README.md"),
}


def write(dataset, root):
    writer, options = EVERY[dataset]
    writer(root)
    return dict(option.split("=", 1) for option in options if "=" in option)


def read_all(dataset, root, options, out):
    """Return what is said of frames left out, all frames labelled."""
    try:
        reader = make_reader(dataset, root, options=options)
        job = Job(reader, dataset, dataset, out, 5, 0, "uniform")
        counts, records = job.label(list(reader.items()))
    except DepthLMError as error:
        return [], {}, [str(error)]
    return records, counts.left_out, counts.messages


def kinds(root):
    """Return one file of every kind: of those whose paths differ in digits only, the first."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.name not in NEVER_READ:
            relative = path.relative_to(root).as_posix()
            found.setdefault(re.sub(r"[0-9a-f]*\d[0-9a-f]*", "0", relative), relative)
    return sorted(found.values())


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_link_out_of_the_root_is_not_followed(dataset, tmp_path):
    root = tmp_path / "raw"
    options = write(dataset, root)
    whole, left_out, _ = read_all(dataset, root, options, tmp_path / "out")
    assert whole
    assert OUTSIDE not in left_out
    followed = []
    for number, name in enumerate(kinds(root)):
        away = tmp_path / "away" / f"{number}{(root / name).suffix}"
        away.parent.mkdir(exist_ok=True)
        (root / name).rename(away)
        without = read_all(dataset, root, options, tmp_path / "out")[0]
        (root / name).symlink_to(away)
        records, left_out, said = read_all(dataset, root, options, tmp_path / "out")
        (root / name).unlink()
        away.rename(root / name)
        if not (OUTSIDE in left_out or any(LEADS in one for one in said)) and records != without:
            followed.append(name)
    assert followed == []
