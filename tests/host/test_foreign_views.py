"""Views that nobody here planned, at every door of the real LLaMA-Factory: none is opened.

A view of an existing picture would open without an error; what is not opened ends with
LLaMA-Factory's own error, or, in a depth run, with one that names dataset and sample.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from datasets import Dataset, List
from datasets import Image as Picture
from fastapi import HTTPException
from llamafactory.api.chat import _process_request
from llamafactory.api.protocol import ChatCompletionRequest
from llamafactory.chat import ChatModel
from llamafactory.data.converter import align_dataset
from llamafactory.data.mm_plugin import PLUGINS, MMPluginMixin, get_mm_plugin
from llamafactory.data.parser import DatasetAttr
from PIL import Image
from support.host_tools import SMALL
from support.loaded import Loaded

from depthlm_plugin import Camera, Predictor, View
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import save_config
from depthlm_plugin.errors import ConfigError, DepthLMError
from depthlm_plugin.host.open_views import refuse_views
from depthlm_plugin.views.view import FORMAT

SIZE_WH = (56, 56)


def _view(image: str, **fields: str) -> str:
    width, height = SIZE_WH
    good = {"image": image, "source": f"500,500,28,28,{width},{height}", "focal": "500"}
    good["window"] = f"0,0,{width},{height}"
    return f"depthlm://{FORMAT}?{urlencode(good | fields)}"


HOSTILE: dict[str, Callable[[str], str]] = {
    "a picture": _view,
    "a symlink": lambda secret: _view(f"{secret}.link.png"),
    "another file": lambda _: _view("/etc/hostname"),
    "a device": lambda _: _view("/dev/zero"),
    "URL": lambda _: _view("http://127.0.0.1:9/x.png"),
    "file URL": lambda secret: _view(f"file://{secret}"),
    "chain": lambda _: _view("zip://x.png::simplecache::http://127.0.0.1:9/x.zip"),
    "github": lambda _: _view("github://owner:name@main/x.png"),
    "large window": lambda secret: _view(secret, window="0,0,28000,28000"),
    "large focal length": lambda secret: _view(secret, focal="1e300"),
    "large source": lambda secret: _view(secret, source="1e300,1e300,9,9,56,56"),
    "NUL": lambda _: _view("a\0.png"),
    "raw NUL": lambda secret: _view(secret) + "\0",
    "surrogate": lambda _: f"depthlm://{FORMAT}?image=\udcff.png",
    "older version": lambda secret: _view(secret).replace(FORMAT, "v1"),
    "nothing": lambda _: "depthlm://",
    "many fields": lambda secret: _view(secret) + "&a=1" * 10**4,
}


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A picture that no run names, and a link to it."""
    path = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    Image.new("RGB", SIZE_WH, (9, 99, 200)).save(path)
    Path(f"{path}.link.png").symlink_to(path)
    assert View.from_uri(_view(str(path))).render().size == SIZE_WH
    return str(path)


def error_of(call: Callable[[], Any]) -> tuple[type, str]:
    with pytest.raises(Exception) as caught:  # noqa: PT011  whatever it is, it must be the same
        call()
    return caught.type, str(caught.value)


@pytest.mark.parametrize("uri_of", HOSTILE.values(), ids=HOSTILE)
def test_every_image_plugin_does_as_without_depthlm(secret: str, uri_of) -> None:
    stock = MMPluginMixin._regularize_images.__wrapped__
    limits = {"image_max_pixels": 10**6, "image_min_pixels": 1}
    for name in PLUGINS:
        plugin = get_mm_plugin(name, "<i>", "<v>", "<a>")
        for uri in (uri_of(secret), {"path": uri_of(secret), "bytes": None}):
            found = error_of(lambda p=plugin, u=uri: p._regularize_images([u], **limits))
            assert found == error_of(lambda p=plugin, u=uri: stock(p, [u], **limits))
            assert issubclass(found[0], (OSError, ValueError))


TURNS = [{"role": "user", "content": "<image>Where?"}, {"role": "assistant", "content": "There."}]
FORMATS: dict[str, dict[str, Any]] = {
    "sharegpt": {
        "columns": {"messages": "messages"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user",
                 "assistant_tag": "assistant"},
    },
    "openai": {
        "columns": {"messages": "messages"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user",
                 "assistant_tag": "assistant"},
    },
    "alpaca": {"columns": {"prompt": "instruction", "response": "output"}},
}  # fmt: skip


def entry_of(formatting: str, media: str, **columns: str) -> dict[str, Any]:
    entry = FORMATS[formatting]
    own = entry["columns"] | {media: media}
    return entry | {"file_name": "vqa.json", "formatting": formatting, "columns": own}


def rows_of(media: str, *entries: Any) -> list[dict[str, Any]]:
    row = {"messages": TURNS, "instruction": "<image>Where?", "output": "There."}
    return [row | {media: entry} for entry in entries]


MEDIA: dict[str, tuple[str, Callable[[str], Any]]] = {
    "images": ("images", lambda uri: [uri]),
    "one image": ("images", lambda uri: uri),
    "after another": ("images", lambda uri: ["a.png", uri]),
    "frames": ("videos", lambda uri: [["a.png", uri]]),
}


@pytest.fixture(scope="module")
def arguments(models, tmp_path_factory) -> tuple[Any, Any]:
    """LLaMA-Factory's own data and training arguments."""
    from llamafactory.hparams import get_train_args

    values = {"model_name_or_path": str(models["qwen"]), "template": "qwen2_vl", "stage": "sft"}
    values |= {"do_train": True, "dataset": "vqa", "finetuning_type": "lora", "use_cpu": True}
    out = str(tmp_path_factory.mktemp("out"))
    _, *arguments = get_train_args(values | {"output_dir": out, "report_to": "none"})
    return arguments[0], arguments[1]


@pytest.mark.parametrize(("media", "entry_with"), MEDIA.values(), ids=MEDIA)
@pytest.mark.parametrize("formatting", FORMATS)
def test_the_views_of_other_datasets_are_found(
    secret: str, arguments, formatting: str, media: str, entry_with: Callable[[str], Any]
) -> None:
    attr = DatasetAttr("file", "vqa.json")
    attr.join(entry_of(formatting, media))
    uris = [of(secret) for name, of in HOSTILE.items() if name != "surrogate"]  # no Arrow has one
    good = 1500
    entries = [entry_with("a.png")] * good + [entry_with(uri) for uri in uris]
    aligned = align_dataset(Dataset.from_list(rows_of(media, *entries)), attr, *arguments)
    for number in range(good, good + len(uris)):
        with pytest.raises(ConfigError, match=r"dataset 'vqa': sample 1 .*'depthlm://") as e:
            refuse_views("vqa", aligned.select([0, number, number]))
        assert len(str(e.value)) < 700
    with pytest.raises(ConfigError, match="dataset 'vqa': sample 1500 "):
        refuse_views("vqa", aligned)
    refuse_views("vqa", aligned.select(range(good)))


def test_pictures_in_a_dataset_are_not_decoded_to_look_for_views(secret: str) -> None:
    pictures = Dataset.from_dict({"_images": [["broken.png"]], "_videos": [None]})
    refuse_views("vqa", pictures.cast_column("_images", List(Picture())))


@pytest.fixture
def folder(data: Path, secret: str, tmp_path: Path) -> Path:
    """A `dataset_dir`: depth data `a`, pictures `fine`, and pictures with views, by format."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "rgb").symlink_to((data / "rgb").resolve())
    (folder / "a.jsonl").write_bytes((data / "a.jsonl").read_bytes())
    info = {name: entry_of(name, "images") | {"file_name": "vqa.json"} for name in FORMATS}
    info["fine"] = info["sharegpt"] | {"file_name": "fine.json"}
    own = {"depth_kind": "z"}
    info["a"] = {"file_name": "a.jsonl", "formatting": "depthlm", "depthlm": own}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    for name, third in (("fine", secret), ("vqa", _view(secret))):
        rows = rows_of("images", [secret], [secret], [third])
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture
def load(models, folder: Path, tmp_path: Path):
    def load(dataset: str | None, **extra: Any) -> Loaded:
        extra["depthlm"] = SMALL | extra.get("depthlm", {})
        return Loaded(
            models["qwen"], folder, tmp_path / "out", "qwen2_vl", dataset=dataset, **extra
        )

    return load


@pytest.mark.parametrize("formatting", FORMATS)
@pytest.mark.parametrize("lazy", [True, False])
def test_a_depth_run_names_the_view_of_another_dataset(load, formatting: str, lazy: bool) -> None:
    found = rf"dataset '{formatting}': sample 2 .*'depthlm://"
    with pytest.raises(ConfigError, match=found):
        load(f"a,{formatting}", depthlm={"lazy": lazy})
    with pytest.raises(ConfigError, match=found):
        load("a", eval_dataset=formatting, eval_strategy="epoch", depthlm={"lazy": lazy})


@pytest.mark.parametrize("formatting", FORMATS)
@pytest.mark.parametrize("workers", [None, 2])
def test_a_run_without_depth_data_finds_no_such_file(load, formatting: str, workers) -> None:
    load("a")  # earlier, in the same process
    with pytest.raises(FileNotFoundError, match="depthlm://"):
        load(formatting, preprocessing_num_workers=workers)


def test_the_collator_opens_the_views_of_a_depth_run_only(load, secret: str) -> None:
    depth = load("a,fine")
    batch = depth.batch("train_dataset", *range(7))["pixel_values"]
    assert (depth.batch("train_dataset", *range(7))["pixel_values"] == batch).all()
    worker = pickle.loads(pickle.dumps(depth.collate))  # as a spawned loader's worker gets it
    rows = [dict(depth.module["train_dataset"][index]) for index in range(7)]
    fine = load("fine")
    assert (worker(rows)["pixel_values"] == batch).all()
    row = dict(fine.module["train_dataset"][0])
    assert fine.collate([row])["pixel_values"].numel()
    with pytest.raises(FileNotFoundError, match="depthlm://"):
        fine.collate([row | {"images": [_view(secret)]}])


def test_saved_tokens_open_views_where_the_run_has_depth_data(load, tmp_path: Path) -> None:
    saved = {"tokenized_path": str(tmp_path / "tokens")}
    pixels = load("a", **saved).batch("train_dataset", 1)["pixel_values"]
    assert (load("a", **saved).batch("train_dataset", 1)["pixel_values"] == pixels).all()
    other = load("fine", **saved)
    assert other.uris()[1].startswith("depthlm://")
    with pytest.raises(FileNotFoundError, match="depthlm://"):
        other.batch("train_dataset", 1)


def test_data_for_vllm_opens_planned_views(load) -> None:
    """LLaMA-Factory's scripts/vllm_infer.py loads as stage ppo, then calls the image plugin."""
    loaded = load("a", stage="ppo")
    uris = loaded.module["train_dataset"]["images"][0]
    limits = {"image_max_pixels": 10**6, "image_min_pixels": 1}
    [picture] = loaded.template.mm_plugin._regularize_images(uris, **limits)["images"]
    assert picture == View.from_uri(uris[0]).render()


def test_chat_opens_no_view(models, load, secret: str, tmp_path: Path) -> None:
    """Not even beside a depth run and a predictor, whose views are planned."""
    load("a")
    model = tmp_path / "taught"
    shutil.copytree(models["qwen"], model)
    save_config(DepthLMConfig(**SMALL), model, "qwen2_vl")
    camera = Camera(500.0, 500.0, 28.0, 28.0, SIZE_WH)
    Predictor.load(model).ask(secret, camera, [(28.0, 28.0)])
    chat = ChatModel(
        {"model_name_or_path": str(model), "template": "qwen2_vl", "infer_backend": "huggingface",
         "infer_dtype": "float32", "max_new_tokens": 4}
    )  # fmt: skip
    turns = [{"role": "user", "content": "<image>Where?"}]
    assert chat.chat([*turns], images=[secret])
    for uri_of in HOSTILE.values():
        uri = uri_of(secret)
        with pytest.raises((OSError, ValueError)) as caught:
            chat.chat([*turns], images=[uri])
        assert not isinstance(caught.value, DepthLMError)
        request = ChatCompletionRequest.model_validate(
            {"model": "m", "messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": uri.replace("\udcff", "")}}]}]}
        )  # fmt: skip
        with pytest.raises((HTTPException, OSError, ValueError)) as caught:
            _process_request(request)
        assert not isinstance(caught.value, DepthLMError)
