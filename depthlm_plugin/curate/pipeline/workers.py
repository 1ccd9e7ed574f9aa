"""Who does the work of a curation: this process, worker processes, or a Ray cluster."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from ...errors import ConfigError, DepthLMError, did_you_mean

ENGINES = ("processes", "ray")
_AHEAD = 4  # pieces of work waiting, for each worker
_DIED = (
    "a worker process died, of too little memory as a rule; use fewer --workers and start again:"
    " what is finished is kept"
)

Result = TypeVar("Result")


def check_engine(name: str) -> str:
    """Return the name of an engine.

    Raises:
        ConfigError: For an unknown one.
    """
    if name not in ENGINES:
        raise ConfigError(f"unknown engine {name!r}{did_you_mean(name, list(ENGINES))}")
    return name


def results(
    work: Callable[..., Result], pieces: Sequence[tuple[Any, ...]], workers: int, engine: str
) -> Iterator[Result]:
    """Yield `work(*piece)` of every piece, in their order, however many workers there are.

    Args:
        work: A function of a module, so that it can be sent elsewhere.
        pieces: Its arguments, which can be pickled.
        workers: How many pieces are worked on at a time.
        engine: `processes` of this machine, or tasks of `ray`: of the cluster that the environment
            names (RAY_ADDRESS) or that runs on this machine, or else of one that is started here.

    Raises:
        DepthLMError: For a worker that died, or no Ray.
    """
    if engine == "ray":
        yield from _by_ray(work, pieces, workers)
    elif min(workers, len(pieces)) <= 1:
        for piece in pieces:
            yield work(*piece)
    else:
        yield from _by_processes(work, pieces, min(workers, len(pieces)))


def _by_processes(
    work: Callable[..., Result], pieces: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[Result]:
    # spawn: a copy of a process with threads (HDF5's, pyarrow's) may hang
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _end_with_parent)
    try:
        ahead: deque[Future[Result]] = deque()
        for piece in pieces:
            ahead.append(pool.submit(work, *piece))
            if len(ahead) == _AHEAD * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    except BrokenProcessPool as error:
        raise DepthLMError(_DIED) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker when its parent is killed; it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _by_ray(
    work: Callable[..., Result], pieces: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[Result]:
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            f"--engine ray needs Ray, which cannot be imported ({error}): pip install"
            ' "depthlm-plugin[ray]"'
        ) from error
    started = not ray.is_initialized()
    if started:
        ray.init(logging_level=logging.WARNING, log_to_driver=False)
    task = ray.remote(work)
    ahead: deque[Any] = deque()
    try:
        for piece in pieces:
            ahead.append(task.remote(*piece))
            if len(ahead) == _AHEAD * workers:
                yield ray.get(ahead.popleft())
        while ahead:
            yield ray.get(ahead.popleft())
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise DepthLMError(f"{_DIED} ({type(error).__name__})") from error
    finally:
        for waiting in ahead:
            ray.cancel(waiting)
        if started:
            ray.shutdown()
