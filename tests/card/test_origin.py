"""Names and licences that are published: nothing of the machine, nothing that no card says."""

import pytest

from depthlm_plugin.card.origin import data_of, model_name, training_on

CURATED = "# mine\n\n| | |\n|---|---|\n| Source | here |\n| Licence | MIT \\| CC BY 4.0. |\n"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Qwen/Qwen2.5-VL-3B-Instruct", "Qwen/Qwen2.5-VL-3B-Instruct"),
        ("/gone/away/merged", "merged"),
        ("{}/saves/my model/", "my model"),
        ("{}/hub/models--Qwen--Qwen3-VL-4B/snapshots/1234abcd", "Qwen/Qwen3-VL-4B"),
    ],
)
def test_models_are_named_without_the_machine(tmp_path, path: str, name: str) -> None:
    if "{}" in path:
        path = path.format(tmp_path)
        (tmp_path / path).mkdir(parents=True)
    assert model_name(path) == name


@pytest.mark.parametrize(
    ("card", "text", "licence"),
    [
        ("mine/README.md", CURATED, "MIT | CC BY 4.0."),
        ("scene/README.md", CURATED, "MIT | CC BY 4.0."),  # that of the pictures, after a split
        ("mine/README.md", "---\nlicense: cc-by-4.0\n---\n# Mine\n", "cc-by-4.0"),
        ("mine/README.md", "# Mine\n\nlicense: none of this is a field\n", None),
        ("mine/README.md", CURATED.replace("MIT \\| CC BY 4.0", "yours to state"), None),
        ("README.md", CURATED, None),  # of whatever else is in the folder
    ],
)
def test_the_licence_is_what_the_card_beside_the_records_says(
    tmp_path, make_record, save_rows, card: str, text: str, licence: str | None
) -> None:
    save_rows(tmp_path / "mine.jsonl", [make_record(image="scene/raw/a.png")])
    (tmp_path / card).parent.mkdir(exist_ok=True)
    (tmp_path / card).write_text(text)
    assert data_of("mine", {"file_name": "mine.jsonl"}, str(tmp_path))["licence"] == licence


@pytest.mark.parametrize(
    ("entry", "hub"),
    [
        ({"file_name": "hf://datasets/me/rooms@main/train.parquet"}, "me/rooms"),
        (
            {"file_name": "https://huggingface.co/datasets/me/rooms/resolve/main/a.jsonl"},
            "me/rooms",
        ),
        ({"hf_hub_url": "me/rooms"}, "me/rooms"),
        ({"file_name": "s3://bucket/rooms.jsonl"}, None),
        ({"file_name": "gone.jsonl"}, None),
    ],
)
def test_only_the_hub_is_named_as_the_place_of_data(tmp_path, entry, hub: str | None) -> None:
    assert data_of("rooms", entry, str(tmp_path)) == {"name": "rooms", "licence": None, "hub": hub}


def test_a_training_that_goes_on_keeps_the_base_and_the_data_of_the_first() -> None:
    rooms, streets = ({"name": n, "licence": None, "hub": None} for n in ("rooms", "streets"))
    first = training_on("Qwen/Qwen3-VL-4B-Instruct", [None], [rooms])
    second = training_on("/saves/merged", [first, None], [streets])
    assert (second["model"], second["base"]) == ("merged", "Qwen/Qwen3-VL-4B-Instruct")
    assert second["earlier"] == [rooms]
    third = training_on("merged-again", [second], [rooms])
    assert (third["datasets"], third["earlier"]) == ([rooms], [streets])
