import json
from pathlib import Path

import pytest

from depthlm_plugin.config import saved
from depthlm_plugin.config.block import CONFIG_KEYS, DepthLMConfig
from depthlm_plugin.config.saved import changes, load_config, save_config, saved_template
from depthlm_plugin.errors import ConfigError
from depthlm_plugin.language.templates import load_template


def test_save_and_load(tmp_path):
    assert load_config(tmp_path) is None
    config = DepthLMConfig.from_block(
        {"focal_px": 750, "crop_height": None, "marker_outline": "#fff", "time_s": [1, 5]}
    )
    save_config(config, tmp_path)
    assert load_config(tmp_path) == config
    written = json.loads((tmp_path / "depthlm_config.json").read_text())
    assert list(written["depthlm"]) == CONFIG_KEYS
    assert written["depthlm"]["time_s"] == [1, 5]


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


@pytest.mark.parametrize("own_templates", [False, True])
def test_weights_on_the_hub_say_how_they_see(tmp_path, monkeypatch, own_templates) -> None:
    from huggingface_hub import constants

    repo = tmp_path / "models--me--depth"
    snapshot = repo / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(snapshot.name)
    snapshot.mkdir(parents=True)
    own = tmp_path / "own.yaml"
    own.write_bytes((Path(__file__).parents[2] / "templates/depth/plain.yaml").read_bytes())
    taught = DepthLMConfig(focal_px=750, prompt=str(own) if own_templates else "official")
    save_config(taught, snapshot, "qwen2_vl")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    saved._place.cache_clear()
    found = load_config("me/depth")
    assert found is not None
    assert found.focal_px == 750
    assert saved_template("me/depth") == "qwen2_vl"
    assert load_template("depth", found.prompt) == load_template("depth", taught.prompt)
    assert load_config("me/other") is None
