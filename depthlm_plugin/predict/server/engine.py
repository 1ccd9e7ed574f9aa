"""A predictor's engine that is a server: questions as OpenAI-style chats, and pixels that arrive.

A server that shrinks pictures changes their focal length, and so metres. Before the first question
a probe asks it about two grey pictures, of which one is as large as the view and the other has
half of its columns: the tokens of the prompt must differ by just the image tokens of the rest.
"""

from __future__ import annotations

import base64
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from PIL import Image

from ...errors import ConfigError, RecordError
from ...host.processors.grid import Grid
from ...sampling.sample import Sample
from ..engine import UnansweredError
from .client import Client, ServerError

MOST_NEW_TOKENS = 64  # the official answer takes about 40
CONNECTIONS = 16  # questions that a server is asked at once

_POLL_S = 0.2  # so that Ctrl-C is heard
_GREY = (128, 128, 128)

logger = logging.getLogger(__name__)


class ServerEngine:
    """A model behind an OpenAI-style server, shown what it was trained to see.

    Attributes:
        grid: The sizes of views that its image processor leaves alone.
        model: Its name on the server.
    """

    def __init__(
        self,
        client: Client,
        grid: Grid,
        model: str | None = None,
        *,
        connections: int = CONNECTIONS,
    ) -> None:
        """Find the model.

        Args:
            client: The server.
            grid: What the model's image processor leaves alone.
            model: Its name on the server, which may be left out where that serves one.
            connections: Questions at once.

        Raises:
            ConfigError: For a name that the server does not have, or several and no name.
            ServerError: When it does not answer.
        """
        self.grid = grid
        self._client = client
        served = client.models()
        if model is None and len(served) == 1:
            [model] = served
        if model not in served:
            asked = "give its name as --server-model" if model is None else f"{model!r} is not one"
            raise ConfigError(f"{client.url} serves {', '.join(served) or 'no model'}; {asked}")
        self.model = model
        self._connections = connections
        self._probed_wh: tuple[int, int] | None = None

    def answer(self, samples: Sequence[Sample]) -> list[str]:
        """Return the text that the model generates for each sample, in their order.

        Raises:
            ConfigError: When the server resizes what it is sent.
            RecordError: For a picture that cannot be decoded.
            UnansweredError: When some got no answer.
        """
        self._probe(samples)
        outcomes = _at_once(self._answer, samples, self._connections)
        for outcome in outcomes:
            if isinstance(outcome, RecordError):
                raise outcome
        texts = [outcome if isinstance(outcome, str) else None for outcome in outcomes]
        errors = [outcome for outcome in outcomes if isinstance(outcome, ServerError)]
        if errors:
            raise UnansweredError(
                f"{len(errors)} of {len(texts)} questions were not answered: {errors[0]}",
                texts,
                stopped=any(error.gone for error in errors),
            )
        return [text for text in texts if text is not None]

    def _answer(self, sample: Sample) -> str:
        text = sample.turns[0][0]
        content = [*map(_picture, sample.images), {"type": "text", "text": text}]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if sample.system is not None:
            messages.insert(0, {"role": "system", "content": sample.system})
        return self._client.complete(self.model, messages, MOST_NEW_TOKENS).text

    def _probe(self, samples: Sequence[Sample]) -> None:
        """Find out whether the server keeps pictures as large as the largest of these views."""
        largest = max(
            (view.size_wh for sample in samples for view in sample.views),
            key=_area,
            default=None,
        )
        if largest is None or (self._probed_wh and _area(largest) <= _area(self._probed_wh)):
            return
        first, self._probed_wh = self._probed_wh is None, largest
        unchecked = self._probe_of(largest)
        if unchecked and first:
            logger.warning(
                "%s: it could not be checked whether the server resizes pictures: %s; its limits of"
                " pixels must be above %dx%d",
                self._client.url,
                unchecked,
                *largest,
            )

    def _probe_of(self, size_wh: tuple[int, int]) -> str | None:
        """Return why nothing can be told about pictures of a size.

        Raises:
            ConfigError: When the server resizes them.
        """
        (width, height), multiple = size_wh, self.grid.multiple
        columns, rows = width // multiple, height // multiple
        if self.grid.fixed_wh is not None:
            return f"{self.grid.name} makes as many tokens of every picture"
        if columns < 2:
            return f"a view of {width}x{height} is too small for a probe"
        fewer = columns // 2
        narrow_wh = fewer * multiple, height
        if self.grid.problem(narrow_wh):
            return f"{self.grid.name} would itself resize a probe of {narrow_wh[0]}x{height}"
        counts = [self._prompt_tokens(wh) for wh in (size_wh, narrow_wh)]
        if counts[0] is None or counts[1] is None:
            return "it does not say how many tokens a prompt has (usage.prompt_tokens)"
        found, expected = counts[0] - counts[1], (columns - fewer) * rows
        if found != expected:
            raise ConfigError(
                f"{self._client.url} resizes pictures, which changes metres: one of"
                f" {width}x{height} takes {found} tokens more than one of {narrow_wh[0]}x{height},"
                f" expected {expected} ({self.grid.name}, {multiple} px a token). Start it with a"
                f" limit of at least {width * height} pixels: llamafactory-cli api"
                f" --image_max_pixels {width * height}; vLLM --mm-processor-kwargs"
                f" '{{\"max_pixels\": {width * height}}}' or size.longest_edge in"
                " preprocessor_config.json"
            )
        return None

    def _prompt_tokens(self, size_wh: tuple[int, int]) -> int | None:
        content = [_picture(Image.new("RGB", size_wh, _GREY)), {"type": "text", "text": "?"}]
        messages = [{"role": "user", "content": content}]
        return self._client.complete(self.model, messages, 1).prompt_tokens


def _area(size_wh: tuple[int, int]) -> int:
    return size_wh[0] * size_wh[1]


def _picture(image: Image.Image) -> dict[str, Any]:
    """Return the part of a message that holds a picture, to the bit."""
    file = BytesIO()
    image.save(file, "PNG", compress_level=1)
    uri = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    return {"type": "image_url", "image_url": {"url": uri}}


def _at_once(
    answer: Callable[[Sample], str], samples: Sequence[Sample], workers: int
) -> list[str | BaseException]:
    """Return the answers in the order of the samples, or what was raised instead.

    Threads are daemons: a request that hangs does not keep an interrupted program alive.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, str | BaseException]] = queue.SimpleQueue()
    for number in range(len(samples)):
        waiting.put(number)

    def work() -> None:
        while True:
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((number, answer(samples[number])))
            except BaseException as error:  # whatever it is, its reader must not wait for ever
                done.put((number, error))

    for _ in range(min(workers, len(samples))):
        threading.Thread(target=work, daemon=True).start()
    outcomes: dict[int, str | BaseException] = {}
    while len(outcomes) < len(samples):
        try:
            number, outcome = done.get(timeout=_POLL_S)
        except queue.Empty:
            continue
        if not isinstance(outcome, (str, RecordError, ServerError)):
            raise outcome
        outcomes[number] = outcome
    return [outcomes[number] for number in range(len(samples))]
