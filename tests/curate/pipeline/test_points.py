import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthlm_plugin.curate.frames import Frame
from depthlm_plugin.curate.pipeline.points import STRATEGIES, beside_edges, frame_rng, sample
from depthlm_plugin.errors import ConfigError, GeometryError, RecordError
from depthlm_plugin.geometry.camera import Camera
from depthlm_plugin.geometry.lens import Lens

CAMERA = Camera(60.0, 60.0, 31.5, 23.5, (64, 48))


def frame(depth_m, camera=CAMERA, kind="z", **more):
    return Frame(b"", camera, kind, depth_m=np.asarray(depth_m, float), **more)


def hilly():
    v, u = np.mgrid[:48, :64]
    return 2 + 0.01 * u + 0.02 * v


@given(st.integers(0, 2**32), st.integers(1, 200), st.sampled_from(STRATEGIES))
def test_valid_pixels_only_each_once_with_their_depth(seed, count, strategy):
    rng = np.random.default_rng(seed)
    depth_m = np.where(rng.random((48, 64)) < 0.5, hilly(), 0)
    depth_m[3] = np.nan
    depth_m[4], depth_m[5] = np.inf, -1
    pixels, found_m = sample(frame(depth_m), count, rng, strategy=strategy)
    assert len(pixels) == len({*map(tuple, pixels.tolist())}) == len(found_m) == count
    np.testing.assert_array_equal(found_m, depth_m[pixels[:, 1], pixels[:, 0]])
    assert np.isfinite(found_m).all()
    assert (found_m > 0).all()


def test_the_generator_depends_on_the_frame_alone():
    def draws(*key):
        return frame_rng(*key).integers(0, 2**60, 4).tolist()

    keys = [
        (0, "a", "1"),
        (1, "a", "1"),
        (0, "b", "1"),
        (0, "a", "2"),
        (0, "a1", ""),
        (0, "", "a1"),
    ]
    assert len({tuple(draws(*key)) for key in keys}) == len(keys)
    assert draws(0, "a", "1") == [*draws(0, "a", "1")]
    assert (
        draws(0, "ibims1", "corridor_01")[0]
        == frame_rng(0, "ibims1", "corridor_01").integers(0, 2**60, 4)[0]
    )


def test_uniform_is_uniform():
    counts = np.zeros((48, 64))
    for number in range(300):
        pixels, _ = sample(frame(hilly()), 100, frame_rng(0, "t", str(number)))
        counts[pixels[:, 1], pixels[:, 0]] += 1
    quarters = counts.reshape(2, 24, 2, 32).sum((1, 3))
    np.testing.assert_allclose(quarters / quarters.mean(), 1, atol=0.05)


def test_log_balances_a_picture_that_is_nearly_all_near():
    depth_m = np.exp(np.random.default_rng(0).uniform(np.log(1), np.log(1.2), (48, 64)))
    far = np.random.default_rng(1).random((48, 64)) < 0.05
    depth_m[far] = np.exp(np.random.default_rng(2).uniform(np.log(4), np.log(60), far.sum()))
    narrow = Camera(600.0, 600.0, 31.5, 23.5, (64, 48))  # z is the distance
    counts = {"uniform": np.zeros(8), "log": np.zeros(8)}
    for strategy, count in counts.items():
        for number in range(40):
            rng = frame_rng(0, "t", str(number))
            _, found_m = sample(frame(depth_m, narrow), 30, rng, strategy=strategy)
            octaves = np.log2(found_m).astype(int)
            count += np.bincount(octaves, minlength=8)
    assert counts["uniform"][0] / counts["uniform"].sum() > 0.93
    # Strata of a factor 1.25: one is near, 13 are far, in four octaves.
    np.testing.assert_allclose(counts["log"][0] / 1200, 1 / 14, atol=0.03)
    np.testing.assert_allclose(counts["log"][2:6] / 1200, 13 / 14 / 4, atol=0.06)


def test_log_takes_every_distance_alike():
    depth_m = np.full((48, 64), 2.0)
    depth_m[:4], depth_m[4:6] = 8.0, 30.0
    wanted = []
    for number in range(50):
        _, found_m = sample(frame(depth_m), 60, frame_rng(0, "t", str(number)), strategy="log")
        wanted.append([(found_m == metres).mean() for metres in (2, 8, 30)])
    # Strata are of distance, a few for every depth of this wide camera; all of them alike.
    camera = CAMERA
    v, u = np.mgrid[:48, :64]
    pixels = np.stack([u.ravel(), v.ravel()], 1)
    strata = np.floor(np.log(depth_m.ravel() * camera.distance_over_z(pixels)) / np.log(1.25))
    share = [
        sum(1 / (strata == s).sum() for s in strata[depth_m.ravel() == metres])
        / len(np.unique(strata))
        for metres in (2, 8, 30)
    ]
    np.testing.assert_allclose(np.mean(wanted, axis=0), share, atol=0.08)
    assert min(share) > 0.2


def test_edges_are_avoided():
    depth_m = hilly()
    depth_m[:, 32:] *= 3
    depth_m[20, 10] = 0
    for number in range(20):
        pixels, _ = sample(frame(depth_m), 200, frame_rng(0, "t", str(number)), strategy="edges")
        assert not np.isin(pixels[:, 0], (31, 32)).any()
    every, _ = sample(frame(depth_m), 10_000, frame_rng(0, "t", ""), strategy="edges")
    assert len(every) == 48 * 64 - 2 * 48 - 1  # beside a hole there is no edge


def test_what_lies_beside_edges_is_known():
    depth_m = hilly()
    depth_m[:, 32:] *= 3
    depth_m[20, 10] = 0
    every = frame(depth_m)
    pixels, _ = every.measured()
    # The step is between columns 31 and 32; two more on either side are beside it.
    assert (beside_edges(every, pixels) == np.isin(pixels[:, 0], range(29, 35))).all()
    points = Frame(b"", CAMERA, "z", pixels=np.array([[1, 2]]), points_m=np.array([1.0]))
    assert beside_edges(points, np.array([[1, 2]])) is None


def test_edges_of_a_smaller_map_are_found_at_its_pixels():
    depth_m = np.ones((12, 16))
    depth_m[:, 8:] = 2.0
    camera = Camera(60.0, 60.0, 39.5, 29.5, (80, 60))  # five picture pixels a depth pixel
    small = frame(depth_m, camera)
    pixels, _ = small.measured()
    assert (beside_edges(small, pixels) == np.isin(pixels[:, 0] // 5, range(5, 11))).all()


def test_edges_are_found_at_the_border_and_in_the_smallest_maps():
    rng = np.random.default_rng(0)
    seen = 0
    for number in range(60):
        height, width = rng.integers(1, 9, 2)
        depth_m = np.exp(rng.normal(0, 0.02, (height, width)))
        depth_m[rng.random((height, width)) < 0.2] = (np.nan, 0)[number % 2]
        pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 2)
        camera = Camera(9.0, 9.0, 3.0, 3.0, (int(width), int(height)))
        found = beside_edges(frame(depth_m, camera), pixels).reshape(height, width)
        edges = np.zeros((height, width), bool)
        for row, column in np.argwhere(depth_m > 0):
            near = depth_m[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            edges[row, column] = near[near > 0].max() >= 1.05 * near[near > 0].min()
        for row, column in np.ndindex(height, width):
            near = edges[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
            assert found[row, column] == near.any()
        seen += found.sum()
    assert 0 < seen < 60 * 30


@pytest.mark.parametrize("map_wh", [(16, 12), (8, 6), (12, 9), (20, 15)])
def test_pixels_of_a_picture_lie_in_one_of_the_map(map_wh):
    """With 8 columns for 20, the picture's third has its centre where the map's second begins."""
    small = frame(np.ones(map_wh[::-1]), Camera(20.0, 20.0, 9.5, 7.0, (20, 15)))
    rows, columns = np.indices(map_wh[::-1]).reshape(2, -1)
    there = small.to_picture(rows, columns)
    assert (small.to_map(there) == np.stack([columns, rows], axis=1)).all()
    if map_wh == (8, 6):
        found = small.to_map(np.array([[0, 0], [1, 1], [2, 2], [3, 3], [19, 14]]))
        assert found.tolist() == [[0, 0], [0, 0], [1, 1], [1, 1], [7, 5]]


def test_edges_need_a_map():
    points = Frame(b"", CAMERA, "z", pixels=np.array([[1, 2]]), points_m=np.array([1.0]))
    with pytest.raises(RecordError, match="needs a depth map"):
        sample(points, 1, frame_rng(0, "t", ""), strategy="edges")


def test_points_stay_in_order_when_all_are_taken():
    pixels = np.array([[5.0, 6.0], [1.2, 2.6], [70, 2], [3, 3], [4, 4]])
    depth_m = np.array([1.0, 2.0, 3.0, np.nan, 0.0])
    points = Frame(b"", CAMERA, "z", pixels=pixels, points_m=depth_m)
    found, found_m = sample(points, 100, frame_rng(0, "t", ""))
    assert found.tolist() == [[5, 6], [1, 3]]
    assert found_m.tolist() == [1, 2]


def test_border_and_nothing_left():
    depth_m = np.zeros((48, 64))
    depth_m[9, 30] = depth_m[10, 53] = depth_m[37, 10] = 1
    found, _ = sample(frame(depth_m), 9, frame_rng(0, "t", ""), border_px=10)
    assert found.tolist() == [[53, 10], [10, 37]]
    with pytest.raises(RecordError, match="no pixel has a depth"):
        sample(frame(np.zeros((48, 64))), 9, frame_rng(0, "t", ""))


@pytest.mark.parametrize("strategy", ["uniform", "log"])
def test_pixels_outside_a_lens_are_never_drawn(strategy):
    lens = Lens("opencv", (-0.45, 0.0, 0.0, 0.0))  # turns round before the corners
    camera = Camera(45.0, 45.0, 31.5, 23.5, (64, 48), lens)
    v, u = np.mgrid[:48, :64]
    seen = camera.can_undistort(np.stack([u.ravel(), v.ravel()], 1)).reshape(48, 64)
    assert 0.1 < seen.mean() < 0.95
    found, _ = sample(frame(hilly(), camera), 10_000, frame_rng(0, "t", ""), strategy=strategy)
    assert len(found) == seen.sum()
    assert seen[found[:, 1], found[:, 0]].all()


def test_a_smaller_map_labels_the_centres_of_its_pixels():
    depth_m = np.arange(1.0, 13).reshape(3, 4)
    camera = Camera(60.0, 60.0, 9.5, 7.0, (20, 15))
    pixels, found_m = frame(depth_m, camera).measured()
    # Five picture pixels a depth pixel: centres at 2, 7, 12, 17.
    assert pixels[:4].tolist() == [[2, 2], [7, 2], [12, 2], [17, 2]]
    assert found_m[:4].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"depth_m": np.ones((48, 64), np.uint16)}, "floating-point metres, found uint16"),
        ({"depth_m": np.ones((48, 64, 1))}, "the shape"),
        ({"depth_m": np.ones((64, 48))}, "48x64 but its picture 64x48"),
        ({"depth_m": np.ones((96, 128))}, "128x96 but its picture 64x48"),
        ({"depth_m": None}, "has one of a depth map"),
        ({"points_m": np.ones(3)}, "has one of a depth map"),
        ({"depth_m": None, "points_m": np.ones(3)}, "found None and"),
        (
            {"depth_m": None, "points_m": np.ones(3), "pixels": np.ones((2, 2))},
            r"found \(2, 2\) and \(3,\)",
        ),
        ({"depth_kind": "distanze"}, "did you mean 'distance'"),
        ({"pose": np.eye(3)}, "4x4 camera-to-world"),
        ({"pose": np.diag([1.0, 1, -1, 1])}, "must be a rotation"),
        ({"pose": np.eye(4).T + np.eye(4, k=-3)}, "last row"),
    ],
)
def test_frames_are_checked(changes, found):
    values = {"image": b"", "camera": CAMERA, "depth_kind": "z", "depth_m": hilly()} | changes
    with pytest.raises(GeometryError, match=found):
        Frame(**values)


def test_unknown_strategy():
    from depthlm_plugin.curate.pipeline.points import check_strategy

    with pytest.raises(ConfigError, match="did you mean 'edges'"):
        check_strategy("edge")
