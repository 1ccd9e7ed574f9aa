"""A model of which every answer is known, asked through the page of `depthlm app`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from depthlm_plugin import Predictor
from depthlm_plugin.app.serve import server_of
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.host.processors.grid import Grid
from depthlm_plugin.sampling.sample import Sample

_FAR_M = 15.0  # said of the sky


class KnownDepth:
    """An engine that reads the distance (H, W) of the pixel that it is asked about."""

    grid = Grid("KnownDepthImageProcessor", 28, 0, 10**7)

    def __init__(self, distance_m: NDArray[Any]) -> None:
        self._said_m = np.minimum(distance_m, _FAR_M)

    def answer(self, samples: Sequence[Sample]) -> list[str]:
        pixels = [sample.question.pixels[0] for sample in samples]
        return [f"<answer> {self._said_m[int(y), int(x)]:.2f} </answer>" for x, y in pixels]


def knowing(distance_m: NDArray[Any], **block: Any) -> Predictor:
    """Return the predictor of such a model."""
    learnt = {"focal_px": 300, "resampling": "reference", "reference": "text"}
    return Predictor(KnownDepth(distance_m), DepthLMConfig(**learnt | block))


@contextmanager
def page_of(predictor: Predictor) -> Iterator[str]:
    """Yield the address of the page, served by this process."""
    with server_of(predictor, "127.0.0.1", 0) as (server, listening):
        thread = threading.Thread(target=server.run, args=[[listening]])
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()
