import pytest

from depthlm_plugin.config.mixtures import PRESETS, preset_weight
from depthlm_plugin.errors import ConfigError


def test_published_mixtures():
    assert preset_weight("depthlm", "Matterport3D_train") == 0.1
    assert preset_weight("depthlm", "ScanNet++") == preset_weight("depthlm", "waymo_2") == 1
    assert preset_weight("vlm3", "hm3d") == 0.78
    assert all(len(preset) == 7 for preset in PRESETS.values())
    with pytest.raises(ConfigError, match=r"no weight for dataset 'kitti'.*argoverse2"):
        preset_weight("vlm3", "kitti")
