import json

import pytest

from depthlm_plugin.config.block import CONFIG_KEYS, MODEL_KEYS, DepthLMConfig
from depthlm_plugin.config.checks import with_options
from depthlm_plugin.errors import ConfigError
from depthlm_plugin.tasks.options import SHARE, Option
from depthlm_plugin.tasks.speed import TIME_S
from depthlm_plugin.views.markers import ArrowMarker, NumberedMarker


def test_defaults_are_those_of_the_design():
    defaults = {
        "focal_px": 1000,
        "max_upscale": 16.0,
        "resampling": "fast",
        "crop_height": (700, 1200),
        "crop_width": (1000, 1400),
        "reference": "marker",
        "marker": "arrow",
        "marker_px": 5,
        "marker_color": "red",
        "marker_color_2": "blue",
        "marker_outline": None,
        "tasks": {"depth": 1.0},
        "time_s": (1.0, 20.0),
        "speed_m_s": (0.5, 15.0),
        "order_ratio": 1.1,
        "pair_rows": 30,
        "pair_baseline_m": (0.05, 10.0),
        "pair_overlap": 0.3,
        "pair_time_gap": None,
        "questions_per_image": 1,
        "points_per_record": 1,
        "prompt": "official",
        "label": "distance",
        "min_depth_m": 0.0,
        "max_depth_m": None,
        "lazy": True,
        "mixture": None,
        "eval_answers": None,
        "on_error": "raise",
        "max_skipped": 0.05,
        "exif_rotation": "refuse",
        "seed": 0,
    }
    assert DepthLMConfig().to_dict() == defaults
    assert list(DepthLMConfig().to_dict()) == CONFIG_KEYS == list(defaults)


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("focal_px", 0, "focal_px must be a positive number of pixels, found 0"),
        ("focal_px", "1000", "found '1000'"),
        ("focal_px", float("nan"), "found nan"),
        ("focal_px", True, "found True"),
        ("lazy", "no", "lazy must be true or false, found 'no'"),
        ("mixture", "depthml", "did you mean 'depthlm'"),
        ("eval_answers", 0, "eval_answers must be a whole number above 0 or null, found 0"),
        ("eval_answers", True, "eval_answers must be .*found True"),
        ("eval_answers", 0.5, "eval_answers must be .*found 0.5"),
        ("max_skipped", 1.5, "max_skipped must be a share from 0 to 1, found 1.5"),
        ("max_upscale", 0, "max_upscale must be a number above 0, found 0"),
        ("max_upscale", None, "max_upscale must be a number above 0, found None"),
        ("resampling", "refrence", "'refrence'; did you mean 'reference'"),
        ("crop_height", [1200, 700], r"crop_height must be \[smallest, largest\].*1200, 700"),
        ("crop_width", 1000, "crop_width must be .*found 1000"),
        ("crop_width", [0, 10], "crop_width must be"),
        ("crop_width", [1, 2, 3], "crop_width must be"),
        ("reference", "markr", "'markr'; did you mean 'marker'"),
        ("reference", "txt", "unknown reference 'txt'; did you mean 'text'"),
        ("time_s", [0, 5], "time_s must be .least, most., 0.1 or more, found .0, 5."),
        ("speed_m_s", [3, 2], "speed_m_s must be .least, most., 0.1 or more, found .3, 2."),
        ("speed_m_s", 0, "speed_m_s must be .least, most., 0.1 or more, found 0"),
        ("order_ratio", 0.5, "order_ratio must be 1 or more"),
        ("pair_overlap", 2, "pair_overlap must be a share from 0 to 1"),
        ("pair_rows", 0, "pair_rows must be a whole number above 0"),
        ("pair_time_gap", -1, "pair_time_gap must be a number above 0 or null"),
        ("questions_per_image", 50, "questions_per_image must be 1 to 49"),
        ("marker", "arow", "'arow'; did you mean 'arrow'"),
        ("marker", ["arrow"], r"marker must be one name, found \['arrow'\]"),
        ("marker_px", 2, "marker_px must be 3 to 200 for marker 'arrow', found 2"),
        ("marker_px", 5.0, "whole number of pixels above 0, found 5.0"),
        ("marker_color", "redd", "marker_color must be a colour name.*found 'redd'"),
        ("marker_color", None, "marker_color must be .* # begins a comment.*found None"),
        ("marker_outline", [0, 0], r"marker_outline must be .*found \[0, 0\]"),
        ("tasks", {}, "tasks must map"),
        ("tasks", ["depth"], "tasks must map"),
        ("tasks", {"deth": 1}, "'deth'; did you mean 'depth'"),
        ("tasks", {"depth": 0}, "weight of task 'depth' must be positive, found 0"),
        ("questions_per_image", 2, "questions_per_image must be 1"),
        ("points_per_record", 0, "whole number above 0 or all, found 0"),
        ("points_per_record", "every", "above 0 or all, found 'every'"),
        ("prompt", "offical", "'offical'; did you mean 'official'"),
        ("label", "dist", "'dist'; did you mean 'distance'"),
        ("label", None, "unknown label None"),
        ("min_depth_m", -1, "min_depth_m must be 0 or more, found -1"),
        ("max_depth_m", 0, r"max_depth_m must be above min_depth_m \(0\) or null, found 0"),
        ("on_error", "ignore", "unknown on_error 'ignore'"),
        ("exif_rotation", "aply", "did you mean 'apply'"),
        ("seed", 1.5, "seed must be a whole number, found 1.5"),
        ("focal", 750, "unknown key 'focal'; did you mean 'focal_px'"),
        ("tims", [1, 5], "unknown key 'tims'; did you mean 'time_s'"),
        ("task_options", {"time_s": [1, 5]}, "unknown key 'task_options'"),
    ],
)
def test_bad_values_are_refused_with_what_was_found(key, value, found):
    with pytest.raises(ConfigError, match=found):
        DepthLMConfig.from_block({key: value})


def test_all_mistakes_are_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        DepthLMConfig.from_block({"focl_px": 7, "crop": 1, "marker_px": 0, "label": "range"})
    for mistake in ("'focl_px'; did you mean 'focal_px'", "'crop'", "marker_px", "'range'"):
        assert mistake in str(caught.value)


BLOCK = {
    "focal_px": 750,
    "crop_height": None,
    "marker": "ring",
    "marker_outline": "#fff",
    "points_per_record": "all",
    "tasks": {"depth": 2},
}


@pytest.mark.parametrize("color", ["RED", "#ff0000", "#F00", [255, 0, 0], (255, 0, 0)], ids=repr)
def test_a_colour_is_one_value_however_it_is_written(color):
    assert DepthLMConfig(marker_color=color) == DepthLMConfig(marker_color="red")


def test_a_config_makes_the_marker_that_it_describes():
    assert DepthLMConfig().make_marker() == ArrowMarker(5)
    config = DepthLMConfig.from_block(
        {"marker": "numbered", "marker_px": 7, "marker_color": [1, 2, 3], "marker_outline": "white"}
    )
    assert json.loads(json.dumps(config.to_dict()))["marker_color"] == "#010203"
    expected = NumberedMarker(7, color=(1, 2, 3), outline=(255, 255, 255), number=12)
    assert config.make_marker(number=12) == expected


@pytest.mark.parametrize("block", [None, "", {}, "{}"], ids=repr)
def test_no_block_is_the_defaults(block):
    assert DepthLMConfig.from_block(block) == DepthLMConfig()


def test_json_text_means_what_the_mapping_means():
    config = DepthLMConfig.from_block(json.dumps(BLOCK))
    assert config == DepthLMConfig.from_block(BLOCK)
    assert (config.focal_px, config.crop_height, config.crop_width) == (750, None, (1000, 1400))


@pytest.mark.parametrize(
    ("block", "found"), [("focal_px: 750", "mapping or JSON"), ("[1]", "list"), (7, "int")]
)
def test_other_blocks_are_refused(block, found):
    with pytest.raises(ConfigError, match=found):
        DepthLMConfig.from_block(block)


def test_a_block_over_a_base_changes_only_its_own_keys():
    base = DepthLMConfig.from_block(BLOCK)
    config = DepthLMConfig.from_block({"seed": 3}, base)
    assert config.to_dict() == base.to_dict() | {"seed": 3}
    with pytest.raises(ConfigError, match="did you mean 'seed'"):
        DepthLMConfig.from_block({"sed": 3}, base)


def test_a_dataset_may_override_what_is_its_own():
    config = DepthLMConfig(seed=4).for_dataset({"max_depth_m": 20, "crop_width": None}, "kitchen")
    assert (config.max_depth_m, config.crop_width, config.seed) == (20, None, 4)


@pytest.mark.parametrize(
    "key",
    [
        "focal_px",
        "reference",
        "marker",
        "marker_px",
        "marker_color",
        "marker_outline",
        "prompt",
        "label",
    ],
)
def test_a_dataset_may_not_change_what_the_model_sees(key):
    assert key in MODEL_KEYS
    with pytest.raises(ConfigError, match=f"dataset 'kitchen': {key} belongs to the model"):
        DepthLMConfig().for_dataset({key: getattr(DepthLMConfig(), key)}, "kitchen")


def test_a_dataset_has_no_evaluation_of_its_own():
    with pytest.raises(ConfigError, match="dataset 'kitchen': eval_answers belongs to the run"):
        DepthLMConfig().for_dataset({"eval_answers": 5}, "kitchen")


def test_options_of_tasks_are_keys_like_any_other():
    config = DepthLMConfig.from_block({"time_s": [1, 5], "pair_rows": 7})
    assert config == DepthLMConfig.from_block({"time_s": (1.0, 5.0), "pair_rows": 7})
    assert config != DepthLMConfig.from_block({"pair_rows": 7})
    assert config.ask_settings[TIME_S] == (1.0, 5.0)
    over = DepthLMConfig.from_block({"order_ratio": 2}, base=config)
    assert over.to_dict() == config.to_dict() | {"order_ratio": 2}
    assert over.for_dataset({"time_s": [2, 3]}, "kitchen").to_dict() == over.to_dict() | {
        "time_s": (2.0, 3.0)
    }
    with pytest.raises(ConfigError, match=r"dataset 'kitchen': .*'time'.*'time_s'"):
        over.for_dataset({"time": [2, 3]}, "kitchen")


def test_an_option_of_a_task_is_no_key_of_the_block_itself():
    own = {"tasks": SHARE, "seed": SHARE}
    assert list(with_options(own, {"share": Option("share", 0.5, SHARE, "a share")})) == [
        "tasks",
        "share",
        "seed",
    ]
    with pytest.raises(ConfigError, match="a task declares the option 'seed'"):
        with_options(own, {"seed": Option("seed", 0.5, SHARE, "a seed")})


def test_mistakes_in_a_dataset_name_it():
    with pytest.raises(ConfigError, match=r"dataset 'kitchen': .*'max_depth'.*'max_depth_m'"):
        DepthLMConfig().for_dataset({"max_depth": 20}, "kitchen")
