"""Every task's answer against the scene that its records show, computed another way."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from support.scene import Pinhole, hits, looking, picture

from depthlm_plugin import DepthSamples
from depthlm_plugin.errors import ConfigError, RecordError
from depthlm_plugin.sampling.planner import NO_PARTNER
from depthlm_plugin.scoring.prediction import Prediction
from depthlm_plugin.tasks import TASKS

PINHOLE = Pinhole(150.0, 146.0, 97.0, 78.0, 200, 150)
POSES = [
    looking(0, 5, (0, 0, 0)),
    looking(4, 7, (0.3, -0.1, 0.2)),
    looking(-5, 2, (-0.2, 0.1, 0.4)),
    looking(9, 5, (0.5, 0, 0.6)),
]
SETTINGS = {"focal_px": 300, "crop_height": [224, 280], "crop_width": [308, 364], "prompt": "plain"}


def record(number, pose, points=400, **more):
    rng = np.random.default_rng(number)
    flat = rng.choice(200 * 150, points, replace=False)
    u, v = flat % 200, flat // 200
    _, distance = hits(PINHOLE, pose, u, v)
    return {
        "image": f"{number}.png",
        "intrinsics": [PINHOLE.fx, PINHOLE.fy, PINHOLE.cx, PINHOLE.cy, 200, 150],
        "pixel_coords": np.stack([u, v], 1).tolist(),
        "depth": distance.tolist(),
        "depth_kind": "distance",
        "pose": pose.tolist(),
        "scene": "room",
        "timestamp": 10.0 * number,
    } | more


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A records file of four posed pictures of the room."""
    folder = tmp_path_factory.mktemp("room")
    records = [record(number, pose) for number, pose in enumerate(POSES)]
    for number, pose in enumerate(POSES):
        Image.fromarray(picture(PINHOLE, pose)).save(folder / f"{number}.png")
    path = folder / "room.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def samples_of(room, task, train=True, **settings):
    settings = SETTINGS | {"tasks": {task: 1.0}} | settings
    samples = list(DepthSamples(room, train=train, **settings))
    assert len(samples) >= len(POSES)
    return samples


def seen(question, index=0):
    """Return what a question's point is in the world, and its camera's pose."""
    pose = POSES[question.row]
    [u, v] = question.pixels[index]
    point, _ = hits(PINHOLE, pose, np.array([u]), np.array([v]))
    return point[0], pose


def numbers(text):
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]


def test_all_tasks_are_tried():
    tried = {name for name in globals() if name.startswith("test_task_")}
    assert {name.removeprefix("test_task_") for name in tried} == TASKS.keys()


def test_task_depth(room):
    for sample in samples_of(room, "depth"):
        point, pose = seen(sample.question)
        assert sample.target == pytest.approx(np.linalg.norm(point - pose[:3, 3]), rel=1e-9)


@pytest.mark.parametrize("label", ["distance", "z"])
def test_task_principal_axis_distance(room, label):
    for sample in samples_of(room, "principal_axis_distance", label=label):
        point, pose = seen(sample.question)
        assert sample.target == pytest.approx((point - pose[:3, 3]) @ pose[:3, 2], rel=1e-9)
        assert "principal axis" in sample.messages[0]["content"]


@pytest.mark.parametrize(("task", "limits"), [("speed", "time_s"), ("time", "speed_m_s")])
@pytest.mark.parametrize("prompt", ["official", "plain"])
def test_given_numbers(room, task, limits, prompt):
    given = []
    for epoch in range(6):
        settings = {limits: [2, 3], "prompt": prompt, "epoch": epoch}
        for sample in samples_of(room, task, **settings):
            point, pose = seen(sample.question)
            distance_m = np.linalg.norm(point - pose[:3, 3])
            user, model = (turn["content"] for turn in sample.messages)
            [stated] = numbers(user)
            given.append(stated)
            assert sample.target == pytest.approx(distance_m / stated, rel=1e-9)
            assert sample.unit == {"speed": "m/s", "time": "s"}[task]
            if prompt == "official":
                shown = numbers(model)
                told_m, answer = shown[0], shown[-1]
                assert told_m == pytest.approx(distance_m, abs=0.0051)
                assert f"{told_m:.2f} / {stated:.1f} = {answer:.2f}" in model
                assert answer == pytest.approx(told_m / stated, abs=0.0051)
            else:
                assert numbers(model) == [pytest.approx(sample.target, abs=0.02)]
    assert 2 <= min(given) < max(given) <= 3


def test_task_speed(room):
    assert {sample.task for sample in samples_of(room, "speed")} == {"speed"}


def test_task_time(room):
    assert {sample.task for sample in samples_of(room, "time")} == {"time"}


@pytest.mark.parametrize("reference", ["marker", "text", "numbered"])
def test_task_two_point_distance(room, reference):
    for sample in samples_of(room, "two_point_distance", reference=reference):
        (first, _), (second, _) = (seen(sample.question, index) for index in (0, 1))
        assert sample.target == pytest.approx(np.linalg.norm(first - second), rel=1e-9)


@pytest.mark.parametrize("label", ["distance", "z"])
def test_task_depth_order(room, label):
    answers = set()
    for epoch in range(8):
        for sample in samples_of(room, "depth_order", label=label, epoch=epoch, order_ratio=1.2):
            pose = POSES[sample.question.row]
            points = [seen(sample.question, index)[0] - pose[:3, 3] for index in (0, 1)]
            depths = [p @ pose[:3, 2] if label == "z" else np.linalg.norm(p) for p in points]
            assert max(depths) >= 1.2 * min(depths)
            assert sample.target == 1 + int(np.argmin(depths))
            assert sample.messages[1]["content"] == f"{sample.target:.0f}"
            answers.add(sample.target)
    assert answers == {1, 2}


def poses_of(sample):
    return [POSES[int(image.removesuffix(".png"))] for image in sample.question.images]


def test_task_camera_translation(room):
    partners = set()
    for epoch in range(6):
        for sample in samples_of(room, "camera_translation", epoch=epoch):
            first, second = poses_of(sample)
            assert sample.target == pytest.approx(np.linalg.norm(first[:3, 3] - second[:3, 3]))
            assert sample.messages[0]["content"].startswith("<image><image>")
            assert len(sample.images) == 2
            partners.add(sample.question.images)
    assert len(partners) > 6
    assert all(first != second for first, second in partners)


def about(axis, degrees):
    """Return a rotation by Rodrigues' formula."""
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


@pytest.mark.parametrize("prompt", ["official", "plain"])
def test_task_relative_pose(room, prompt):
    for sample in samples_of(room, "relative_pose", prompt=prompt):
        first, second = poses_of(sample)
        truth = sample.truth
        move = first[:3, :3].T @ (second[:3, 3] - first[:3, 3])
        assert truth["distance"] == pytest.approx(np.linalg.norm(move))
        direction = [truth[name] for name in "xyz"]
        np.testing.assert_allclose(direction, move / np.linalg.norm(move), atol=1e-9)
        # To the right about the axis that points down, up about the one that points right.
        turn = about((0, 1, 0), truth["yaw"]) @ about((1, 0, 0), truth["pitch"])
        turn = turn @ about((0, 0, 1), truth["roll"])
        np.testing.assert_allclose(turn, first[:3, :3].T @ second[:3, :3], atol=1e-9)
        shown = numbers(sample.messages[1]["content"].split("<answer>")[-1])
        wanted = [truth["distance"], *direction, *(truth[n] for n in ("yaw", "pitch", "roll"))]
        np.testing.assert_allclose(shown, wanted, atol=0.051)


@pytest.mark.parametrize(
    ("turned", "angles"),
    [
        (looking(10, 0, (0, 0, 1)), (10, 0, 0)),
        (looking(0, -10, (0, 0, 1)), (0, 10, 0)),  # `looking` counts downwards
        (looking(0, 0, (0, 0, 1)), (0, 0, 0)),
    ],
)
def test_angles_are_what_their_names_say(tmp_path, turned, angles):
    poses = [looking(0, 0, (0, 0, 0)), turned]
    for number in (0, 1):
        Image.new("RGB", (200, 150)).save(tmp_path / f"{number}.png")
    records = [record(number, pose) for number, pose in enumerate(poses)]
    samples = DepthSamples(
        records, media_dir=tmp_path, train=True, **SETTINGS | {"tasks": {"relative_pose": 1}}
    )
    truth = samples[0].truth
    found = [truth[name] for name in ("yaw", "pitch", "roll")]
    np.testing.assert_allclose(found, angles, atol=1e-9)
    assert "direction forward (" in samples[0].messages[1]["content"]


@pytest.mark.parametrize("sideways_m", [1e-17, 0.05, -0.0001])
def test_directions_have_two_decimals(tmp_path, sideways_m):
    poses = [looking(0, 0, (0, 0, 0)), looking(1e-15, 0, (sideways_m, 0, 1))]
    for number in (0, 1):
        Image.new("RGB", (200, 150)).save(tmp_path / f"{number}.png")
    records = [record(number, pose) for number, pose in enumerate(poses)]
    settings = SETTINGS | {"tasks": {"relative_pose": 1}}
    text = DepthSamples(records, media_dir=tmp_path, train=True, **settings)[0].turns[0][1]
    x = "0.05" if sideways_m == 0.05 else "0.00"
    assert text == (
        f"distance 1.00, direction forward ({x}, 0.00, 1.00), yaw 0.0, pitch 0.0, roll 0.0"
    )


@pytest.mark.parametrize(
    ("move", "words"),
    [
        ((1, 0, 0), "right"),
        ((-1, 0, 0), "left"),
        ((0, 1, 0), "down"),
        ((0, -1, 0), "up"),
        ((0, 0, -1), "backward"),
        ((-0.8, 0, 0.6), "left and forward"),
        ((0.6, 0.1, 0.8), "forward and right"),
        ((0.6, -0.5, 0.62), "forward and right and up"),
    ],
)
def test_directions_in_words(move, words):
    from depthlm_plugin.tasks.relative_pose import in_words

    assert in_words(np.array(move) / np.linalg.norm(move)) == words


def test_task_point_correspondence(room):
    found = 0
    for epoch in range(4):
        for sample in samples_of(room, "point_correspondence", epoch=epoch):
            point, _ = seen(sample.question)
            second = poses_of(sample)[1]
            x, y, z = (point - second[:3, 3]) @ second[:3, :3]
            pixel = np.array([x / z * PINHOLE.fx + PINHOLE.cx, y / z * PINHOLE.fy + PINHOLE.cy])
            _, there = hits(PINHOLE, second, *pixel[:, None])
            assert there[0] == pytest.approx(np.linalg.norm((x, y, z)), rel=1e-6)  # not hidden
            view = sample.views[1]
            scale = 300 / PINHOLE.fx, 300 / PINHOLE.fy
            at = (pixel + 0.5) * scale - (view.left, view.top)  # of the view, from its left edge
            wanted = np.floor(at / view.size_wh * 2000)
            assert [sample.truth["x"], sample.truth["y"]] == wanted.tolist()
            assert numbers(sample.messages[1]["content"]) == wanted.tolist()
            assert len(sample.views[0].marks) == 1
            assert not view.marks
            found += 1
    assert found == 16


def test_hidden_points_have_no_correspondence(tmp_path):
    """A wall in the second picture stands before what the first one shows."""
    near = record(1, POSES[1])
    near["depth"] = [metres / 2 for metres in near["depth"]]
    for number in (0, 1):
        Image.new("RGB", (200, 150)).save(tmp_path / f"{number}.png")
    samples = DepthSamples(
        [record(0, POSES[0]), near],
        media_dir=tmp_path,
        train=True,
        **SETTINGS | {"tasks": {"point_correspondence": 1}},
    )
    assert 0 not in [sample.question.row for sample in samples]
    assert samples.counts[NO_PARTNER] > 0


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"pair_baseline_m": [5, 9]}, "baseline outside pair_baseline_m"),
        ({"pair_overlap": 1.0}, "overlap below pair_overlap"),
        ({"pair_time_gap": 5}, "too far apart in time"),
    ],
)
def test_pairs_outside_the_limits(room, settings, reason):
    settings = SETTINGS | {"tasks": {"camera_translation": 1}} | settings
    samples = DepthSamples(room, train=True, **settings)
    assert list(samples) == []
    assert samples.counts[f"{NO_PARTNER}: {reason}"] == 12


def test_partners_are_of_the_same_scene_and_near_in_the_file(room, tmp_path):
    lines = [json.loads(line) for line in room.read_text().splitlines()]
    lines = [one | {"scene": scene} for scene in "abc" for one in lines]
    path = tmp_path / "three.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    settings = SETTINGS | {"tasks": {"camera_translation": 1}, "pair_rows": 3}
    samples = DepthSamples(path, train=True, media_dir=room.parent, **settings)
    assert len(list(samples)) == 12
    lonely = [one | {"scene": str(row)} for row, one in enumerate(lines)]
    samples = DepthSamples(lonely, train=True, media_dir=room.parent, **settings)
    assert list(samples) == []
    assert samples.counts[f"{NO_PARTNER}: another scene"] > 0


@pytest.mark.parametrize("missing", ["pose", "scene"])
def test_tasks_that_the_data_cannot_serve_are_refused(room, missing):
    records = [json.loads(line) for line in room.read_text().splitlines()]
    for one in records:
        del one[missing]
    settings = SETTINGS | {"tasks": {"depth": 1, "relative_pose": 1}}
    with pytest.raises(ConfigError, match=f"records lacks {missing} for relative_pose"):
        DepthSamples(records, media_dir=room.parent, **settings)


def test_a_pose_that_is_none_is_refused(room):
    records = [json.loads(line) for line in room.read_text().splitlines()]
    records[2]["pose"][0] = [2, 0, 0, 0]
    settings = {"media_dir": room.parent, **SETTINGS}
    for tasks in ({"camera_translation": 1}, {"depth": 1}):  # whatever is asked: one rule
        with pytest.raises(
            RecordError, match=r"records\[2\]: the 3x3 part of a pose must be a rot"
        ):
            list(DepthSamples(records, **settings | {"tasks": tasks}))


def pair_record(labelled=True):
    first, second = (record(number, POSES[number]) for number in (0, 1))
    x, y = POSES[:2]
    turn = x[:3, :3].T @ y[:3, :3]
    move = x[:3, :3].T @ (y[:3, 3] - x[:3, 3])
    pair = {"images": ["0.png", "1.png"], "intrinsics": [first["intrinsics"]] * 2}
    pair["relative_pose"] = np.vstack([np.c_[turn, move], (0, 0, 0, 1)]).tolist()
    if labelled:
        pair |= {key: [first[key], second[key]] for key in ("pixel_coords", "depth")}
        pair["depth_kind"] = "distance"
    return pair


@pytest.mark.parametrize("labelled", [True, False])
def test_records_of_two_pictures(room, labelled, tmp_path):
    """Their answers are those of the two records that they are made of."""
    tasks = {"camera_translation": 1.0, "relative_pose": 1.0, "point_correspondence": 1.0}
    settings = SETTINGS | {"tasks": tasks, "media_dir": room.parent}
    samples = DepthSamples([pair_record(labelled)], **settings)
    found = {sample.task: sample for sample in samples}
    assert found.keys() == (tasks.keys() if labelled else {"camera_translation", "relative_pose"})
    assert found["relative_pose"].question.images == ("0.png", "1.png")
    for path, raw in (("both.jsonl", record(0, POSES[0])), ("two.jsonl", record(1, POSES[1]))):
        (tmp_path / path).write_text(json.dumps(raw))
    apart = DepthSamples([record(0, POSES[0]), record(1, POSES[1])], **settings)
    for sample in apart:
        if sample.question.row == 0 and sample.task in ("camera_translation", "relative_pose"):
            assert found[sample.task].truth == pytest.approx(sample.truth)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"relative_pose": None}, "needs their relative_pose"),
        ({"relative_pose": [[1, 0], [0, 1]]}, "finite 4x4 camera-to-world"),
        ({"images": ["0.png"]}, "'images' of a pair must be a list of two"),
        ({"intrinsics": [1, 2, 3, 4, 5, 6]}, "'intrinsics' of a pair must be a list of two"),
        ({"depth": [[1.0]]}, "'depth' of a pair must be a list of two"),
        ({"images": ["0.png", "9.png"]}, "'9.png' is in none of"),
    ],
)
def test_bad_records_of_two_pictures(room, change, message):
    good = pair_record()
    settings = SETTINGS | {"tasks": {"relative_pose": 1.0}, "media_dir": room.parent}
    with pytest.raises(RecordError, match=message):
        list(DepthSamples([good, good | change], **settings))


def test_records_of_two_pictures_are_no_depth_data(room):
    settings = SETTINGS | {"media_dir": room.parent}
    with pytest.raises(RecordError, match="none of the tasks depth is about two pictures"):
        list(DepthSamples([pair_record()], **settings))
    with pytest.raises(ConfigError, match="records lacks image for depth"):
        DepthSamples([pair_record()], **settings | {"tasks": {"depth": 1, "relative_pose": 1}})


@pytest.mark.parametrize("train", [True, False])
def test_points_that_coincide_make_no_distance(room, train):
    records = [json.loads(line) for line in room.read_text().splitlines()]
    for one in records:
        one["pixel_coords"] = [[100, 75], [100, 75], [150, 90]]
        one["depth"] = [2.0, 2.0, 2.5]
    settings = SETTINGS | {"tasks": {"two_point_distance": 1}}
    for sample in DepthSamples(records, media_dir=room.parent, train=train, **settings):
        assert len(set(sample.question.pixels)) == 2
        assert sample.target > 0.4


def test_training_draws_tasks_by_weight_and_evaluation_asks_all(room):
    tasks = {"depth": 3.0, "speed": 1.0, "two_point_distance": 1.0, "relative_pose": 1.0}
    settings = SETTINGS | {"tasks": tasks}
    drawn = [
        sample.task
        for epoch in range(150)
        for sample in DepthSamples(room, train=True, epoch=epoch, **settings)
    ]
    assert len(drawn) == 600
    for task, weight in tasks.items():
        assert drawn.count(task) == pytest.approx(600 * weight / 6, rel=0.25)
    asked = [sample.task for sample in DepthSamples(room, **settings)]
    assert asked == list(tasks) * 4
    again = [sample.task for sample in DepthSamples(room, train=True, epoch=7, **settings)]
    assert again == drawn[28:32]


def test_two_points_have_two_colours(room):
    for sample in samples_of(room, "two_point_distance", marker_color_2="lime"):
        first, second = sample.view.marks
        assert (first.color, second.color) == ((255, 0, 0), (0, 255, 0))
        assert (
            "tip of the red arrow and the point at the tip of the lime arrow"
            in (sample.messages[0]["content"])
        )
        assert max(abs(first.x - second.x), abs(first.y - second.y)) > 10  # none covers another
        pixels = np.asarray(sample.image)
        assert (pixels[first.y, first.x - 1], pixels[second.y, second.x - 1]) == (
            pytest.approx((255, 0, 0)),
            pytest.approx((0, 255, 0)),
        )


def test_text_reference_draws_nothing_and_names_the_pixel(room):
    settings = {"reference": "text", "resampling": "reference"}
    for sample in samples_of(room, "depth", **settings):
        [x, y] = map(int, re.search(r"\((\d+), (\d+)\)", sample.messages[0]["content"]).groups())
        assert not sample.view.marks
        width, height = sample.view.size_wh
        u, v = sample.pixels[0]
        assert abs((x + 0.5) / 2000 * width - 0.5 - u) < 0.5 + width / 2000
        assert abs((y + 0.5) / 2000 * height - 0.5 - v) < 0.5 + height / 2000
    # As near to the border as it gets.
    raw = record(0, POSES[0]) | {"pixel_coords": [[0, 0], [199, 149]], "depth": [2.0, 3.0]}
    samples = DepthSamples(
        [raw], media_dir=room.parent, points_per_record="all", **SETTINGS | settings
    )
    assert len(list(samples)) == 2


@pytest.mark.parametrize(("reference", "packed"), [("text", 10), ("numbered", 4), ("numbered", 12)])
def test_packed_questions_share_a_view(room, reference, packed):
    settings = {"reference": reference, "questions_per_image": packed, "marker_px": 4}
    for sample in samples_of(room, "depth", **settings):
        assert len(sample.questions) == packed
        assert len(set(sample.question.pixels)) == 1
        points = [question.point for question in sample.questions]
        assert len(set(points)) == packed
        user = [turn["content"] for turn in sample.messages[::2]]
        assert [text.count("<image>") for text in user] == [1] + [0] * (packed - 1)
        for index, question in enumerate(sample.questions):
            point, pose = seen(question)
            metres = np.linalg.norm(point - pose[:3, 3])
            assert question.target == pytest.approx(metres, rel=1e-9)
            assert numbers(sample.messages[2 * index + 1]["content"]) == [
                pytest.approx(metres, abs=0.0051)
            ]
            if reference == "numbered":
                assert f"marked {index + 1} " in user[index]
                mark = sample.view.marks[index]
                assert (mark.kind, mark.number) == ("numbered", index + 1)
                assert (mark.x, mark.y) == sample.pixels[index]
    for sample in samples_of(room, "depth", train=False, **settings):
        assert len(sample.questions) == 1  # each scored by itself


def test_packed_pairs_of_points(room):
    settings = {"reference": "text", "questions_per_image": 5}
    for sample in samples_of(room, "two_point_distance", **settings):
        assert len(sample.questions) == 5
        assert len({pixel for question in sample.questions for pixel in question.pixels}) == 10


def test_samples_survive_their_text_form(room):
    from depthlm_plugin.sampling.sample import Question

    for task in TASKS:
        for sample in samples_of(room, task, reference="text"):
            first, *others = sample.to_uris()
            assert Question.all_from_uri(first) == list(sample.questions)
            assert len(others) == len(sample.views) - 1


def test_a_depth_says_what_it_is_and_whether_it_is_at_an_edge(room):
    records = [json.loads(line) for line in room.read_text().splitlines()]
    for one in records:
        one["at_edge"] = [index % 3 == 0 for index in range(len(one["depth"]))]
    path = room.with_name("edges.jsonl")
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    for task, label, kind in [
        ("depth", "distance", "distance"),
        ("depth", "z", "z"),
        ("principal_axis_distance", "distance", "z"),
    ]:
        for sample in samples_of(path, task, label=label):
            question = sample.question
            x, y = question.pixel
            ray = np.array([(x - PINHOLE.cx) / PINHOLE.fx, (y - PINHOLE.cy) / PINHOLE.fy, 1])
            assert question.depth_kind == kind
            assert question.distance_over_z == pytest.approx(np.linalg.norm(ray))
            assert question.at_edge is (question.point % 3 == 0)
            row = Prediction(question, "2").to_row()
            assert row["depth_kind"] == kind
            assert row["at_edge"] is question.at_edge
    for task in ("speed", "two_point_distance"):
        question = samples_of(path, task)[0].question
        assert (question.depth_kind, question.distance_over_z) == (None, None)
    assert question.at_edge is None
    assert samples_of(room, "depth")[0].question.at_edge is None
