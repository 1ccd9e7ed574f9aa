"""Tokenising without pixels gives what tokenising with them gives; batches are held to it."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
import torch
from datasets.fingerprint import Hasher
from PIL import Image
from support.counting import processor_of
from support.families import BASE_VLMS, BaseVLM

from depthlm_plugin import Camera, View
from depthlm_plugin.errors import DepthLMError, HostError, RecordError
from depthlm_plugin.host.open_views import regularize_images_with, views_as
from depthlm_plugin.host.processors.qwen_patches import Qwen2VLImageProcessor
from depthlm_plugin.host.processors.registry import grid_of, quicken
from depthlm_plugin.host.tokens import ShortRuns, SizedProcessor, TokenCheck, expanded
from depthlm_plugin.views.view import FORMAT, window_size


def uri_of(folder: Path, size_wh: tuple[int, int]) -> str:
    path = folder / "{}x{}.png".format(*size_wh)
    noise = np.random.default_rng(0).integers(0, 256, (*size_wh[::-1], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return View(str(path), Camera(500, 500, 9, 9, size_wh), 500, 0, 0, size_wh).to_uri()


@pytest.mark.parametrize("vlm", BASE_VLMS, ids=lambda vlm: vlm.name)
def test_counts_from_sizes_are_those_from_pixels(vlm: BaseVLM, tmp_path: Path) -> None:
    processor = processor_of(vlm)
    grid = grid_of(processor)
    sizes = [grid.fixed_wh] if grid.fixed_wh else [(20, 12), (9, 25), (16, 16)]
    sized = SizedProcessor(processor)
    for size in sizes:
        assert size is not None
        size_wh = size if grid.fixed_wh else (size[0] * grid.multiple, size[1] * grid.multiple)
        assert grid.problem(size_wh) is None
        uri = uri_of(tmp_path, size_wh)
        with views_as("tensors"):
            with_pixels = expanded(vlm.plugin, uri, processor)
        Path(View.from_uri(uri).image).unlink()
        with views_as("shapes"):
            assert expanded(vlm.plugin, uri, sized) == with_pixels
            assert expanded(vlm.plugin, uri, sized) == with_pixels  # remembered
    assert len(with_pixels) > 0 or "paligemma" in vlm.templates  # which puts ids before text


def _malformed(**fields: str) -> str:
    good = {"image": "a.png", "source": "500,500,9,9,20,12", "focal": "500", "window": "0,0,20,12"}
    return f"depthlm://{FORMAT}?{urlencode(good | fields)}"


MALFORMED = {
    "large": _malformed(window="0,0,28000,28000"),
    "one long side": _malformed(window=f"0,0,{2**27},1"),
    "no pixel": _malformed(window="0,0,0,0"),
    "negative": _malformed(window="0,0,-20,-12"),
    "no number": _malformed(window="0,0,x,12"),
    "digits": _malformed(window="0,0," + "9" * 5000 + ",1"),
    "three numbers": _malformed(window="0,0,20"),
    "large focal length": _malformed(focal="1e300"),
    "larger focal length": _malformed(focal="1e308"),
    "infinite": _malformed(focal="inf"),
    "NaN": _malformed(focal="nan"),
    "no source": _malformed(source=""),
    "source of zeros": _malformed(source="0,0,0,0,0,0"),
    "large source": _malformed(source="1e300,1e300,9,9,20,12"),
    "tiny source": _malformed(source="1e-300,1e-300,9,9,20,12"),
    "NUL": _malformed(image="a\0.png"),
    "not there": _malformed(image="\udcff.png".encode("utf-8", "replace").decode()),
    "surrogate": "depthlm://" + FORMAT + "?image=\udcff&source=500,500,9,9,20,12&focal=500"
    "&window=0,0,20,12",
    "mark outside": _malformed(marks="arrow,9,900,900"),
    "mark of another form": _malformed(marks="arrow,x"),
    "unknown mark": _malformed(marks="arow,9,10,6"),
    "no query": f"depthlm://{FORMAT}",
    "another version": "depthlm://v0?image=a.png",
    "nothing": "depthlm://",
    "a URL": "depthlm://evil.example/x.png",
}


@pytest.mark.parametrize("uri", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("what", ["pictures", "tensors"])
def test_malformed_views_are_refused_at_once(uri: str, what: str) -> None:
    @regularize_images_with
    def regularized(self: Any, images: list[Any], **kwargs: Any) -> Any:
        return {"images": images}

    with views_as(what), pytest.raises(DepthLMError):
        regularized(None, [uri])


@pytest.mark.parametrize("name", ["qwen", "pixtral"])
def test_tokens_without_pixels_are_those_of_the_rendered_pictures(
    models, data: Path, tmp_path: Path, name: str
) -> None:
    from support.loaded import TEMPLATES, Loaded

    loaded = Loaded(models[name], data, tmp_path / "out", TEMPLATES[name], max_samples=8)
    for row, aligned in zip(loaded.module["train_dataset"], loaded.merged(), strict=True):
        turns = aligned["_prompt"] + aligned["_response"]
        plugin = loaded.template.mm_plugin
        turns = plugin.process_messages(turns, aligned["_images"], [], [], loaded.processor)
        prompt, answer = loaded.template.encode_oneturn(loaded.tokenizer, turns)
        assert row["input_ids"] == prompt + answer
        assert len(prompt) > 50


def test_no_file_is_opened_while_tokenising(models, data: Path, tmp_path: Path) -> None:
    """Conversion reads the header of every image; then all images are gone."""
    from support.loaded import Loaded

    loaded = Loaded(models["qwen"], data, tmp_path / "out", "qwen2_vl", max_samples=6)
    rows = loaded.merged()
    gone = [uri.replace("/rgb/", "/gone/") for (uri,) in rows["_images"]]
    hidden = rows.remove_columns("_images").add_column("_images", [[uri] for uri in gone])
    tokenised = loaded.tokenised(hidden)
    assert list(tokenised["input_ids"]) == list(loaded.module["train_dataset"]["input_ids"])
    with pytest.raises(RecordError, match="does not exist"):
        loaded.collate([dict(tokenised[0])])


@pytest.fixture(scope="module")
def tokenizer(models) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(models["qwen"])


PAD = "<|image_pad|>"


@pytest.mark.parametrize(
    "text",
    [
        "no image",
        PAD * 12,
        f"<|vision_start|>{PAD * 300}<|vision_end|>how far?",
        f"{PAD} {PAD * 9}\n{PAD * 2}a {PAD}",
        f"<|im_start|>user\n<|vision_start|>{PAD * 8}<|vision_end|>{PAD * 70}é<|im_end|>\n",
        "",
    ],
)
def test_short_runs_tokenise_as_the_tokenizer_does(tokenizer, text: str) -> None:
    short = ShortRuns(tokenizer, (PAD,))
    for _ in range(2):
        assert short.encode(text, add_special_tokens=False) == tokenizer.encode(
            text, add_special_tokens=False
        )


def test_a_tokenizer_that_joins_image_tokens_is_found_out(tokenizer) -> None:
    # "a" is no special token: "aa" may be one token.
    short = ShortRuns(tokenizer, ("in",))
    with pytest.raises(HostError, match="does not keep image tokens apart"):
        short.encode("within the inn", add_special_tokens=False)


def test_what_they_remember_does_not_change_fingerprints(tokenizer, models, tmp_path) -> None:
    from transformers import AutoProcessor

    short = ShortRuns(tokenizer, (PAD,))
    sized = SizedProcessor(AutoProcessor.from_pretrained(models["qwen"]))
    before = Hasher.hash(short), Hasher.hash(sized)
    short.encode(f"{PAD * 9}?", add_special_tokens=False)
    sized.image_processor([torch.empty((3, 56, 56), dtype=torch.uint8, device="meta")])
    assert (Hasher.hash(short), Hasher.hash(sized)) == before
    again = pickle.loads(pickle.dumps(short))
    assert (
        again.encode(PAD * 9, add_special_tokens=False)
        == [tokenizer.convert_tokens_to_ids(PAD)] * 9
    )


def test_a_batch_with_other_image_tokens_is_refused(models, data: Path, tmp_path: Path) -> None:
    from support.loaded import Loaded

    loaded = Loaded(models["qwen"], data, tmp_path / "out", "qwen2_vl", max_samples=2)
    row = dict(loaded.module["train_dataset"][0])
    token = loaded.tokenizer.convert_tokens_to_ids(PAD)
    place = row["input_ids"].index(token)
    for key in ("input_ids", "attention_mask", "labels"):
        row[key] = row[key][:place] + row[key][place + 1 :]
    count = row["input_ids"].count(token)
    with pytest.raises(HostError, match=rf"{count} image tokens, but .* take {count + 1}:") as e:
        loaded.collate([row])
    assert "tokenised for another model or cut off" in str(e.value)
    assert "ibims1.jsonl" in str(e.value)


def test_ordinary_pictures_are_none_of_the_checks_business(models) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(models["qwen"])
    picture = Image.new("RGB", (84, 56), (9, 8, 7))
    seen = SizedProcessor(processor).image_processor([picture], return_tensors="pt")
    expected = processor.image_processor([picture], return_tensors="pt")
    assert torch.equal(seen["pixel_values"], expected["pixel_values"])
    check = TokenCheck(None, None, processor)
    check([1, 2, 3], [], window_size)


SIZES = [[(140, 84)], [(28, 28), (56, 140), (140, 56)], [(141, 85)], [(140, 84), (99, 30)]]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("patch", [14, 16])
def test_quick_patches_have_the_same_bits(sizes, patch: int) -> None:
    from transformers import Qwen2VLImageProcessor as Stock

    settings = {
        "patch_size": patch,
        "image_mean": [0.48, 0.46, 0.41],
        "image_std": [0.27, 0.26, 0.28],
    }
    stock, processor = Stock(**settings), SimpleNamespace(image_processor=Stock(**settings))
    quicken(processor)
    quick = processor.image_processor
    assert type(quick) is Qwen2VLImageProcessor
    rng = np.random.default_rng(0)
    shapes = [(height * patch // 14, width * patch // 14, 3) for width, height in sizes]
    noise = [rng.integers(0, 256, shape, np.uint8) for shape in shapes]
    expected = stock([Image.fromarray(n) for n in noise], return_tensors="pt")
    for images in (
        [Image.fromarray(n) for n in noise],
        [torch.from_numpy(n).permute(2, 0, 1) for n in noise],
    ):
        seen = quick(images, return_tensors="pt")
        assert seen.keys() == expected.keys()
        assert torch.equal(seen["pixel_values"], expected["pixel_values"])
        assert torch.equal(seen["image_grid_thw"], expected["image_grid_thw"])


def test_a_quick_processor_is_saved_under_its_own_name(models, tmp_path: Path) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(models["qwen"])
    processor.save_pretrained(tmp_path / "before")
    quicken(processor)
    grid_of(processor)  # a second run in the same process
    processor.save_pretrained(tmp_path / "after")
    for path in sorted((tmp_path / "before").iterdir()):
        assert (tmp_path / "after" / path.name).read_bytes() == path.read_bytes()
