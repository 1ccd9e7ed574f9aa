"""Asking a model that depthlm has trained: pixels of a picture in, metres out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from typing import Unpack

from ..cameras.source import CameraSource, FoundCamera
from ..config.block import DepthLMConfig
from ..config.saved import load_config, saved_template
from ..errors import ConfigError, did_you_mean
from ..geometry.camera import Camera
from ..maps.depth_map import DepthMap
from ..sampling.given import asked_samples
from ..sampling.planner import Planner
from ..tasks import TASKS, Task
from .answer import Answer
from .answer_file import AnswerFile
from .calibration import Calibration, load_calibrations
from .distribution import Distribution
from .engine import Engine, Weighing
from .mapping import DEPTH_TASKS, map_of
from .questions import (
    Asked,
    CameraOptions,
    given_numbers,
    groups_of,
    paths_of,
    source_of,
    sources_of,
)
from .rows import row_of

_AT_ONCE = 256  # questions of a map, so that progress is seen


class Predictor:
    """A trained model, loaded once, that answers how far pixels of pictures are.

    Example:
        predictor = Predictor.load("merged-model")
        for answer in predictor.ask("room.jpg", at=[(320, 240), (100, 400)], fov_deg=65):
            print(answer.pixel, answer.value, answer.unit, answer.camera.detail)

    Args:
        engine: The model.
        config: How it was trained to see.
        calibrations: What is made of its answers, by task.
    """

    def __init__(
        self,
        engine: Engine,
        config: DepthLMConfig,
        calibrations: Mapping[str, Calibration] | None = None,
    ) -> None:
        self._engine = engine
        self._config = config
        self._calibrations = calibrations or {}

    @classmethod
    def load(
        cls,
        model: str | PathLike[str],
        adapter: str | PathLike[str] | None = None,
        template: str | None = None,
        way: str = "auto",
        constrained: bool = False,
        calibrated: bool = True,
    ) -> Predictor:
        """Return the predictor of a trained model, loaded by LLaMA-Factory.

        Args:
            model: Folder or name of the base or merged model.
            adapter: LoRA adapter folder, if any; it, or `model`, must hold `depthlm_config.json`.
            template: LLaMA-Factory's chat template; by default the one saved with the weights.
            way: How questions are answered: one of `host.inference.ways`.
            constrained: Whether the model can say nothing but a number in its template's form: all
                answers can be read then, also those of a model that has none to give.
            calibrated: Whether a calibration that lies beside the weights is used.

        Raises:
            ConfigError: When nothing tells how the model was trained to see; for a calibration that
                is damaged, or of other weights.
            HostError: For a LLaMA-Factory or an image processor that cannot be trusted.
        """
        folder = fspath(adapter or model)
        config = _config_of(folder)
        template = template or saved_template(folder)
        if template is None:
            raise ConfigError(f"{folder} does not say its chat template; give --template")
        calibrations = load_calibrations(folder) if calibrated else {}
        from ..host.inference.loaded import LoadedModel  # which imports torch and LLaMA-Factory

        given = fspath(adapter) if adapter else None
        engine = LoadedModel(fspath(model), given, template, way, constrained)
        return cls(engine, config, calibrations)

    @classmethod
    def served(
        cls,
        url: str,
        model: str | PathLike[str],
        *,
        processor: str | PathLike[str] | None = None,
        name: str | None = None,
    ) -> Predictor:
        """Return the predictor of a trained model behind an OpenAI-style server.

        Args:
            url: The server: `http://host:port`, with or without `/v1`.
            model: Folder of the served weights, or of the adapter, with `depthlm_config.json`; no
                weights are loaded.
            processor: Folder or name of a model with the same image processor, where `model` has
                none.
            name: The model's name on the server, where that serves several.

        Raises:
            ConfigError: When nothing tells how the model was trained to see, or how large its image
                tokens are; for a name that the server does not have.
            HostError: For an image processor that cannot be trusted.
            ServerError: When the server does not answer.
        """
        from ..host.processors.folder import grid_of_folder
        from .server.client import Client
        from .server.engine import ServerEngine

        config = _config_of(fspath(model))
        client = Client(url)  # whose address may be refused at once
        grid = grid_of_folder(fspath(processor or model))
        return cls(ServerEngine(client, grid, name), config)

    @property
    def config(self) -> DepthLMConfig:
        """How the model was trained to see."""
        return self._config

    @property
    def calibrations(self) -> Mapping[str, Calibration]:
        """What is made of its answers, by task."""
        return self._calibrations

    def ask(
        self,
        image: str | PathLike[str] | Sequence[str | PathLike[str]],
        camera: Camera | FoundCamera | CameraSource | Sequence[Camera] | None = None,
        at: Sequence[tuple[float, float]] = (),
        *,
        task: str = "depth",
        time_s: float | None = None,
        speed_m_s: float | None = None,
        exif_rotation: str | None = None,
        distribution: bool = False,
        **known: Unpack[CameraOptions],
    ) -> list[Answer]:
        """Return the model's answer for each pixel, shown exactly as in training.

        The camera is the first that there is of: what is given here, the picture's EXIF block, and
        an assumed one of 60 degrees; `Answer.camera` says which.

        Args:
            image: Path of the picture, or of both of a task about two.
            camera: Its camera, or a source of it; of two pictures both cameras, or one for both.
            at: Pixels (x, y) of the (first) picture; integers are pixel centres. A question takes
                as many as its task is about: of `two_point_distance` every two that follow each
                other, of `relative_pose` none.
            task: What is asked, one of those that the model learnt.
            time_s: Seconds that questions of `speed` state.
            speed_m_s: Metres a second that questions of `time` state.
            exif_rotation: `apply` where pixels and camera are of the picture as its EXIF
                orientation turns it, as viewers show it; `ignore`: of the stored one. By default
                as the model was trained, which mostly is to refuse such pictures.
            distribution: Whether answers come with what else the model could have said.
            **known: What is known of the camera in its place: see `CameraOptions`.

        Raises:
            ConfigError: For a task that the model did not learn, or whose pictures, pixels or
                numbers are not what it is about; for two sources of one camera; for a picture whose
                view the model's image processor would resample.
            RecordError: For a picture, camera or pixel that cannot be used.
        """
        asked = self.questions(
            image,
            camera if isinstance(camera, Sequence) else source_of(camera, known),
            at,
            task=task,
            time_s=time_s,
            speed_m_s=speed_m_s,
            exif_rotation=exif_rotation,
        )
        return self.answer(asked, distribution=distribution)

    def questions(
        self,
        image: str | PathLike[str] | Sequence[str | PathLike[str]],
        camera: CameraSource | Sequence[Camera],
        at: Sequence[tuple[float, float]] = (),
        *,
        task: str = "depth",
        time_s: float | None = None,
        speed_m_s: float | None = None,
        exif_rotation: str | None = None,
    ) -> list[Asked]:
        """Return what `ask` asks; only headers of pictures are read. See there.

        Raises:
            ConfigError: As `ask`.
            RecordError: As `ask`.
        """
        asked = self._learnt(task)
        paths = paths_of(image)
        given = given_numbers(asked, time_s, speed_m_s)
        groups = groups_of(asked, paths, at)
        planner = self.planner([task], exif_rotation)
        found = tuple(
            source.find(path, planner.config.exif_rotation)
            for source, path in zip(sources_of(camera, len(paths)), paths, strict=True)
        )
        pictures = [(path, one.camera) for path, one in zip(paths, found, strict=True)]
        samples = asked_samples(planner, asked, pictures, groups, given)
        return [Asked(sample, found) for sample in samples]

    def answer(self, asked: Sequence[Asked], *, distribution: bool = False) -> list[Answer]:
        """Return the model's answers to questions, in their order; `distribution` is as `ask`'s.

        Raises:
            ConfigError: For a view that the model's image processor would resample.
            RecordError: For a picture that cannot be decoded.
            UnansweredError: When a server left questions unanswered; it has the other answers.
        """
        for question in asked:
            for view in question.sample.views:
                width, height = view.size_wh
                problem = self._engine.grid.problem((width, height))
                if problem:
                    raise ConfigError(f"the {width}x{height} view of {view.image} {problem}")
        samples = [question.sample for question in asked]
        if distribution:
            if not isinstance(self._engine, Weighing):
                raise ConfigError("intervals need the model itself, not a server's answers")
            return [
                question.answered(text, Distribution.of(shares), self._calibration_of(question))
                for question, (text, shares) in zip(asked, self._engine.weigh(samples), strict=True)
            ]
        texts = self._engine.answer(samples)
        return [self._read(question, text) for question, text in zip(asked, texts, strict=True)]

    def _calibration_of(self, asked: Asked) -> Calibration | None:
        return self._calibrations.get(asked.sample.question.task)

    def _read(self, asked: Asked, text: str) -> Answer:
        return asked.answered(text, calibration=self._calibration_of(asked))

    def map(
        self,
        image: str | PathLike[str],
        camera: Camera | FoundCamera | CameraSource | None = None,
        *,
        grid: tuple[int, int] | None = (96, 72),
        adaptive: int = 0,
        task: str | None = None,
        progress: Callable[[int], object] | None = None,
        kept: AnswerFile | None = None,
        exif_rotation: str | None = None,
        **known: Unpack[CameraOptions],
    ) -> DepthMap:
        """Return the depth of every pixel of a picture, from answers about some of them.

        Args:
            image: Path of the picture.
            camera: Its camera, or a source of it.
            grid: Columns and rows of pixels that are asked about; None: every pixel.
            adaptive: How many more are asked about where depth jumps.
            task: `depth` or `principal_axis_distance`; by default the first that the model learnt.
            progress: Called with the number of answers, after each few.
            kept: Answers of a run that was stopped, which are not asked for again; new ones are
                added to it.
            exif_rotation: As `ask` takes it.
            **known: What is known of the camera, as `ask` takes it.

        Raises:
            ConfigError: For a model that learnt no depth; as `ask`.
            DepthLMError: When no answer could be read.
            RecordError: As `ask`.
        """
        learnt = [name for name in DEPTH_TASKS if name in self._config.tasks]
        task = task or next(iter(learnt), DEPTH_TASKS[0])
        if task not in DEPTH_TASKS:
            raise ConfigError(f"a map is made of {' or '.join(DEPTH_TASKS)}, not of {task}")
        planner, path = self.planner([task], exif_rotation), fspath(image)
        found = source_of(camera, known).find(path, planner.config.exif_rotation)

        def ask(pixels: Sequence[tuple[float, float]]) -> list[Answer]:
            answers: list[Answer] = []
            for start in range(0, len(pixels), _AT_ONCE):
                some = self.questions(
                    path,
                    CameraSource(camera=found),
                    pixels[start : start + _AT_ONCE],
                    task=task,
                    exif_rotation=exif_rotation,
                )
                answers += self._answered(some, kept)
                if progress is not None:
                    progress(len(some))
            return answers

        return map_of(path, found, planner, ask, grid, adaptive)

    def _answered(self, asked: Sequence[Asked], kept: AnswerFile | None) -> list[Answer]:
        """Return the answers to questions, from a file as far as it has them."""
        if kept is None:
            return self.answer(asked)
        texts = [kept.text_of(row_of(question.answered(""))) for question in asked]
        new = [question for question, text in zip(asked, texts, strict=True) if text is None]
        answers = self.answer(new) if new else []
        kept.add(map(row_of, answers))
        waiting = iter(answers)
        return [
            next(waiting) if text is None else self._read(question, text)
            for question, text in zip(asked, texts, strict=True)
        ]

    def planner(self, tasks: Sequence[str], exif_rotation: str | None = None) -> Planner:
        """Return what shows this model pictures and asks it, as in training but uncropped.

        Raises:
            ConfigError: For a task that it did not learn.
        """
        for task in tasks:
            self._learnt(task)
        config = replace(self._config, tasks=dict.fromkeys(tasks, 1.0))
        if exif_rotation is not None:
            config = replace(config, exif_rotation=exif_rotation)
        grid = self._engine.grid
        return Planner(config, "ask", (), False, grid.multiple, fixed_wh=grid.fixed_wh)

    def _learnt(self, task: str) -> Task:
        learnt = list(self._config.tasks)
        if task not in TASKS:
            raise ConfigError(f"unknown task {task!r}{did_you_mean(task, learnt)}")
        if task not in learnt:
            raise ConfigError(
                f"the model did not learn {task}; it learnt {', '.join(learnt)}"
                " (tasks in its depthlm_config.json)"
            )
        return TASKS[task]


def _config_of(folder: str) -> DepthLMConfig:
    config = load_config(folder)
    if config is None:
        raise ConfigError(
            f"{folder} has no depthlm_config.json: it was not trained by depthlm-plugin, so its"
            " focal length, mark and prompt are unknown"
        )
    return config
