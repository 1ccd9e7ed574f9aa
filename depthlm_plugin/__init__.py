"""depthlm-plugin: fine-tune vision-language models to see metric depth, with LLaMA-Factory."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .geometry.camera import Camera
    from .predict.predictor import Predictor
    from .sampling.dataset import DepthSamples
    from .views.view import View

__version__ = "0.1.0"
__all__ = ["Camera", "DepthSamples", "Predictor", "View"]

_HOMES = {
    "Camera": "geometry.camera",
    "DepthSamples": "sampling.dataset",
    "Predictor": "predict.predictor",
    "View": "views.view",
}


def __getattr__(name: str) -> Any:
    # Lazily, because every process that imports torch imports this package (see autoload.py).
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
