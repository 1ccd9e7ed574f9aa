"""A small curation, run in this process: three frames of `room`, two a chunk."""

from depthlm_plugin.curate.pipeline.curation import Settings, curate
from depthlm_plugin.curate.pipeline.labelling import Job
from depthlm_plugin.curate.pipeline.output import Output
from depthlm_plugin.curate.registry import make_reader


def job_of(root, out, sampling="uniform", jpeg_focal_px=None, drop_repeats=False):
    options = {"depth_scale": "1000", "depth_kind": "z"}
    reader = make_reader("folder", root, options=options)
    output = Output(out, "room")
    label = (20, 0, sampling, jpeg_focal_px, drop_repeats)
    return Job(reader, "folder", "room", output.folder, *label), output


def run(root, out):
    """Curate two frames a chunk."""
    job, output = job_of(root, out)
    curate(job, output, None, Settings(chunk_frames=2))
