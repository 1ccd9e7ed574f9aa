"""Numbers of texts: written down, since samples, splits and intervals rest on them."""

import pytest

from depthlm_plugin.curate.pipeline.points import frame_rng
from depthlm_plugin.records.splits import side_of
from depthlm_plugin.scoring.intervals import picture_keys
from depthlm_plugin.seeds import SeededRng, number_of, seed_of


@pytest.mark.parametrize(
    ("text", "size_bytes", "number"),
    [
        ("", 8, 0xE4A6A0577479B2B4),
        ("a/b.png", 8, 0x7EA4FC4732436554),
        ("ü 深", 8, 0x6E03A4A6FF32535C),
        ("\ud800", 8, 0x4208783E927D0D68),
        ("a/b.png", 16, 0x685D9CF577EB777A9D5EFE6A25F7A2D5),
    ],
    ids=ascii,
)
def test_numbers_of_texts_stay_what_they_are(text, size_bytes, number):
    assert number_of(text, size_bytes) == number


def test_what_is_made_of_them_stays_what_it_is():
    assert seed_of(0, "d", "order", 3, 0) == 1626495772983847066
    assert SeededRng(7, "d").rng(1, 2, "task").random() == 0.13645183402551853
    assert picture_keys(["a/b.png"]).tolist() == [6081340755068888190]
    assert frame_rng(0, "d", "f").integers(1000, size=3).tolist() == [762, 73, 600]
    sides = [side_of((f"scene {i}",), 0.3, 5) for i in range(8)]
    assert "".join(side[0] for side in sides) == "ttteette"
