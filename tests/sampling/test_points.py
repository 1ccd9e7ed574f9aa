"""Which points are chosen, against the same rules in their plainest, quadratic form."""

import time

import numpy as np
import pytest

from depthlm_plugin import DepthSamples
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.records.record import check_record
from depthlm_plugin.records.stated import NOTHING
from depthlm_plugin.sampling.planned import LeftOut
from depthlm_plugin.sampling.planner import Planner
from depthlm_plugin.sampling.points import AT_BORDER, REDRAWN, Chosen

CROPS = {"focal_px": 300, "crop_height": (100, 260), "crop_width": (120, 380)}


class Plain:
    """The rules of `PointChooser`, one list at a time."""

    def __init__(self, chooser):
        self.config, self.windows, self.seeded = chooser.config, chooser.windows, chooser.seeded
        self.in_range = chooser.in_range

    def choose(self, points, packed, record, path, epoch):
        size, spare = points * packed, 0 if points == 1 else 8
        order, outside = self.in_range(record, epoch)
        yield outside
        every = self.config.points_per_record == "all"
        wanted = len(order) if every else int(self.config.points_per_record)
        choose = self._cropped if self.windows.cropping else self._whole
        yield from choose(points, size, spare, record, path, epoch, order, wanted, every)

    def _cropped(self, points, size, spare, record, path, epoch, order, wanted, every):
        unused = list(order)
        for draw in range(wanted):
            rng = self.seeded.rng(record.row, epoch, draw)
            view = self.windows.draw(record, path, rng)
            fitting = self.windows.fitting(view, record, order)
            fresh = [index for index in fitting if index in unused]
            if len(fitting) < points or (len(fresh) < points and every):
                yield LeftOut(AT_BORDER)
                continue
            first = fresh[0] if fresh else fitting[int(rng.random() * len(fitting))]
            if fresh and first != unused[0]:
                yield LeftOut(REDRAWN)
            others = [*fresh, *(index for index in fitting if index not in fresh)]
            chosen = self._apart(view, record, [first, *others], size + spare)
            if len(chosen) < points:
                yield LeftOut(AT_BORDER)
                continue
            unused = [index for index in unused if index not in chosen[:size]]
            yield Chosen(view, chosen)

    def _whole(self, points, size, spare, record, path, epoch, order, wanted, every):
        rest, drawn = list(order), 0
        while rest and drawn < wanted:
            first, *others = rest
            view = self.windows.whole(record, path, record.pixels[first])
            if not self.windows.fitting(view, record, [first]):
                yield LeftOut(AT_BORDER)
                rest = others
                continue
            fitting = self.windows.fitting(view, record, others)
            chosen = self._apart(view, record, [first, *fitting], size + spare)
            rest = [index for index in others if index not in chosen[:size]]
            yield Chosen(view, chosen)
            drawn += 1

    def _apart(self, view, record, indices, size):
        chosen, places = [], []
        for index in indices:
            [place] = np.floor(view.pixels_from_source(record.pixels[index]) + 0.5)
            least = 2 * self.config.margin_px + 1
            if all(max(abs(place - other)) >= least for other in places):
                chosen.append(index)
                places.append(place)
            if len(chosen) == size:
                break
        return chosen


def labelled(make_record, count, spread):
    """A record of points all over the picture, or so close together that marks would touch."""
    rng = np.random.default_rng(count)
    width, height = (200, 150) if spread else (25, 20)
    cells = rng.choice(width * height, count, replace=False)
    pixels = np.stack([cells % width, cells // width], axis=1).tolist()
    depth = rng.uniform(0.5, 9, count).round(3).tolist()
    return make_record(pixel_coords=pixels, depth=depth)


@pytest.mark.parametrize("spread", [True, False], ids=["spread", "crowded"])
@pytest.mark.parametrize("count", [1, 2, 40, 300])
@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("wanted", [1, 7, 90, "all"])
def test_points_are_those_of_the_plainest_rules(
    record_folder, make_record, spread, count, train, wanted
):
    raw = labelled(make_record, count, spread)
    folder = str(record_folder([raw]).parent)
    config = DepthLMConfig.from_block({"points_per_record": wanted, **CROPS, "max_depth_m": 8})
    chooser = Planner(config, "d", (folder,), train, 28)._chooser
    record, _ = check_record(raw, "where", 3, NOTHING)
    for points, packed in [(1, 1), (2, 1), (1, 5), (2, 3)]:
        found = list(chooser.choose(points, packed, record, "a.png", 2))
        assert found == list(Plain(chooser).choose(points, packed, record, "a.png", 2))


@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("task", ["depth", "two_point_distance"])
def test_many_points_take_linear_time(record_folder, make_record, task, train):
    path = record_folder([labelled(make_record, 30_000, spread=True)])
    options = {"tasks": {task: 1}, "points_per_record": 50} | CROPS
    samples = DepthSamples(path, name="d", train=train, **options)
    started = time.process_time()
    assert samples[0]
    assert time.process_time() - started < 3  # 17.5 where every point was looked up in a list
