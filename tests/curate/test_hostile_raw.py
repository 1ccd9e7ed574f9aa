"""Raw data that names files elsewhere, by links or in lists, reads nothing outside of its root."""

import re
import shutil

import pytest
from support.raw.every import EVERY

from depthlm_plugin.curate.pipeline.counts import Counts
from depthlm_plugin.curate.pipeline.labelling import Job
from depthlm_plugin.curate.registry import make_reader
from depthlm_plugin.errors import DepthLMError

OUTSIDE = "file outside its root"
LEADS = "leads out of --root"
# Their files of lidar points, tables and poses are not looked at here.
LIDAR = {"argoverse2", "ddad", "nuscenes", "waymo"}
LOADED = {"teacher"}  # by LLaMA-Factory, again for each of its model's files: see test_teacher.py
DATASETS = [
    pytest.param(dataset, marks=() if dataset == "folder" else pytest.mark.slow)
    for dataset in EVERY
    if dataset not in LIDAR | LOADED
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
    (out / dataset / "parts").mkdir(parents=True, exist_ok=True)  # as a curation makes it
    try:
        reader = make_reader(dataset, root, options=options)
        job = Job(reader, dataset, dataset, out / dataset, 5, 0, "uniform")
        outcomes, records = job.label(list(reader.items()))
    except DepthLMError as error:
        return [], {}, [str(error)]
    counts = Counts()
    for outcome in outcomes:
        counts.add(outcome.counts)
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


UP, ABSOLUTE, NUL = "../../away/x", "/away/x", "a\0b"


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


CONF = "undistorted_camera_parameters/17DRP5sb8fy.conf"
# dataset: of its fixture a file that lists others, a name in it, and what its new name ends with
LISTS = {
    "ibims1": ("imagelist.txt", "office_01", ""),
    "tum picture": ("rgbd_dataset_freiburg1_desk/rgb.txt", "rgb/", "/"),
    "tum depth": ("rgbd_dataset_freiburg1_desk/depth.txt", "depth/", "/"),
    "kitti picture": ("eigen_test_files_with_gt.txt", "2011_09_26/2011", "/2011"),
    "kitti depth": ("eigen_test_files_with_gt.txt", ".png 2011", "/2011"),
    "matterport3d": (f"{'17DRP5sb8fy/' * 2}{CONF}", "scan ", "/"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [UP, ABSOLUTE, NUL], ids=["up", "absolute", "NUL"])
@pytest.mark.parametrize("case", LISTS)
def test_a_list_names_no_file_outside(tmp_path, case, name):
    dataset = case.split()[0]
    root = tmp_path / "raw"
    options = write(dataset, root)
    file, old, end = LISTS[case]
    if dataset == "ibims1":
        names = [path.stem for path in (root / "rgb").iterdir()]
        (root / file).write_text("\n".join(sorted(names)))
    before = old.partition("2011")[0] if case == "kitti depth" else "scan " if "scan" in old else ""
    change(root / file, old, f"{before}{name}{end}")
    whole = len(
        read_all(dataset, tmp_path / "good", write(dataset, tmp_path / "good"), tmp_path / "a")[0]
    )
    records, left_out, said = read_all(dataset, root, options, tmp_path / "out")
    refused = any("expected " in one for one in said)  # a line that is none of the dataset's
    assert left_out[OUTSIDE] if left_out else refused
    assert len(records) < whole


OPTIONS = [
    ("colmap", "images"),
    ("colmap", "model"),
    ("folder", "rgb"),
    ("folder", "depth"),
    ("depthlm", "file"),
    ("depthlm", "media_dir"),
    ("depthvlm", "file"),
    ("depthvlm", "media_dir"),
    ("depthvlm", "depth_dir"),
]


@pytest.mark.parametrize("value", ["../away/x*.png", "{away}/x*.png", "a\0b*.png"])
@pytest.mark.parametrize(("dataset", "option"), OPTIONS)
def test_an_option_names_no_picture_or_record_outside(
    tmp_path_factory, tmp_path, dataset, option, value
):
    root = written(tmp_path_factory, dataset)
    away = root.parent / "away"
    value = value.format(away=away)
    if option not in ("rgb", "depth"):
        value = value.removesuffix("*.png")
    options = ROOTS[dataset][1] | {option: value}
    records, left_out, said = read_all(dataset, root, options, tmp_path / "out")
    assert records == []
    said = " ".join(said)
    assert left_out[OUTSIDE] if left_out else re.search(f"{LEADS}|the pattern|looked for", said)


ROOTS = {}


def written(tmp_path_factory, dataset):
    """Return the fixture's folder, beside which files of all kinds are, written once."""
    if dataset not in ROOTS:
        root = tmp_path_factory.mktemp(dataset) / "raw"
        options = write(dataset, root)
        shutil.copytree(root, root.parent / "away" / "x")
        for suffix in (".png", "1.png", ""):
            if suffix:
                (root.parent / "away" / f"x{suffix}").write_text("300,300,160,120")
        ROOTS[dataset] = root, options
    return ROOTS[dataset][0]
