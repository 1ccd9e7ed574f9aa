"""Asking a model that depthlm has trained: pixels of a picture in, metres out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike, fspath

from ..config.block import DepthLMConfig
from ..config.saved import load_config, saved_template
from ..errors import ConfigError
from ..geometry.camera import Camera
from ..sampling.given import pixel_samples
from ..sampling.planner import Planner
from .answer import Answer
from .distribution import Distribution
from .engine import Engine


class Predictor:
    """A trained model, loaded once, that answers how far pixels of pictures are.

    Example:
        predictor = Predictor.load("merged-model")
        camera = Camera(fx=582.6, fy=582.7, cx=313.0, cy=238.4, size_wh=(640, 480))
        for answer in predictor.ask("room.png", camera, [(320, 240), (100, 400)]):
            print(answer.pixel, answer.value, answer.unit)

    Args:
        engine: The model.
        config: How it was trained to see.
    """

    def __init__(self, engine: Engine, config: DepthLMConfig) -> None:
        self._engine = engine
        config = replace(config, tasks={"depth": 1.0})  # whatever else it was taught
        grid = engine.grid
        self._planner = Planner(config, "ask", (), False, grid.multiple, fixed_wh=grid.fixed_wh)

    @classmethod
    def load(
        cls,
        model: str | PathLike[str],
        adapter: str | PathLike[str] | None = None,
        template: str | None = None,
        way: str = "auto",
        constrained: bool = False,
    ) -> Predictor:
        """Return the predictor of a trained model, loaded by LLaMA-Factory.

        Args:
            model: Folder or name of the base or merged model.
            adapter: LoRA adapter folder, if any; it, or `model`, must hold `depthlm_config.json`.
            template: LLaMA-Factory's chat template; by default the one saved with the weights.
            way: How questions are answered: one of `host.inference.ways`.
            constrained: Whether the model can say nothing but a number in its template's form: all
                answers can be read then, also those of a model that has none to give.

        Raises:
            ConfigError: When nothing tells how the model was trained to see.
            HostError: For a LLaMA-Factory or an image processor that cannot be trusted.
        """
        folder = fspath(adapter or model)
        config = load_config(folder)
        template = template or saved_template(folder)
        if config is None:
            raise ConfigError(
                f"{folder} has no depthlm_config.json: it was not trained by depthlm-plugin, so its"
                " focal length, mark and prompt are unknown"
            )
        if template is None:
            raise ConfigError(f"{folder} does not say its chat template; give --template")
        from ..host.inference.loaded import LoadedModel  # which imports torch and LLaMA-Factory

        given = fspath(adapter) if adapter else None
        engine = LoadedModel(fspath(model), given, template, way, constrained)
        return cls(engine, config)

    def ask(
        self,
        image: str | PathLike[str],
        camera: Camera,
        pixels: Sequence[tuple[float, float]],
        *,
        distribution: bool = False,
    ) -> list[Answer]:
        """Return the model's answer for each pixel, shown exactly as in training.

        Args:
            image: Path of the picture.
            camera: Its camera.
            pixels: Pixels (x, y) of the picture; integers are pixel centres.
            distribution: Whether answers come with what else the model could have said.

        Raises:
            ConfigError: For a picture whose view the model's image processor would resample.
            RecordError: For a picture or pixel that cannot be used.
        """
        path = fspath(image)
        samples = pixel_samples(self._planner, path, camera, pixels)
        for sample in samples:
            width, height = sample.view.size_wh
            problem = self._engine.grid.problem((width, height))
            if problem:
                raise ConfigError(f"the {width}x{height} view of {path} {problem}")
        if distribution:
            weighed = self._engine.weigh(samples)
            return [
                Answer.of(sample, text, Distribution.of(shares))
                for sample, (text, shares) in zip(samples, weighed, strict=True)
            ]
        texts = self._engine.answer(samples)
        return [Answer.of(sample, text) for sample, text in zip(samples, texts, strict=True)]
