import json

import pytest

from depthlm_plugin.config.block import CONFIG_KEYS, DepthLMConfig
from depthlm_plugin.config.saved import changes, load_config, save_config
from depthlm_plugin.errors import ConfigError


def test_save_and_load(tmp_path):
    assert load_config(tmp_path) is None
    config = DepthLMConfig.from_block(
        {"focal_px": 750, "crop_height": None, "marker_outline": "#fff", "time_s": [1, 5]}
    )
    save_config(config, tmp_path)
    assert load_config(tmp_path) == config
    saved = json.loads((tmp_path / "depthlm_config.json").read_text())
    assert list(saved["depthlm"]) == CONFIG_KEYS
    assert saved["depthlm"]["time_s"] == [1, 5]


def test_changes_name_each_key_that_differs():
    base = DepthLMConfig()
    config = DepthLMConfig.from_block({"seed": 3, "time_s": [1, 5], "focal_px": 1000})
    assert changes(base, config, CONFIG_KEYS) == [
        "time_s: (1.0, 20.0) -> (1.0, 5.0)",
        "seed: 0 -> 3",
    ]
    assert changes(base, config, frozenset({"seed", "label"})) == ["seed: 0 -> 3"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("{", "is not a saved depthlm config"),
        ("[]", "is not a saved depthlm config"),
        pytest.param("[" * 100_000, "is not a saved depthlm config", id="deep"),
        ('{"format": 1}', "is not a saved depthlm config"),
        ('{"format": 9, "version": "7.1", "depthlm": {}}', "format 9.*by depthlm-plugin 7.1"),
        ('{"format": 1, "depthlm": {"focal": 1}}', "did you mean 'focal_px'"),
    ],
)
def test_a_damaged_saved_config_is_refused(tmp_path, content, found):
    (tmp_path / "depthlm_config.json").write_text(content)
    with pytest.raises(ConfigError, match=found):
        load_config(tmp_path)
