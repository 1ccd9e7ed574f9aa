"""What a metric rule is: from the outputs of one kind of model to metres of a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...geometry.arrays import Floats


@dataclass(frozen=True, eq=False)
class Prediction:
    """What an expert says of a picture.

    Attributes:
        depth_m: z (H, W) of every pixel of the picture, metres.
        farthest_m: The depth at which the model ends, as it says of the sky, or beyond which it
            is not believed, metres.
        focal_px: The focal length that its metres are for, pixels of the picture; None: it does
            not say.
    """

    depth_m: Floats
    farthest_m: float
    focal_px: float | None = None


@dataclass(frozen=True)
class Rule:
    """How the outputs of one kind of model become metres.

    Attributes:
        metric: The rule in words, for records.
        read: Makes a `Prediction` of the model's outputs for one picture, its processor, its
            configuration, the picture's (width, height) and its known focal length in pixels.
        refusal: Says of a config.json why such a model gives no metres; empty: it does.
        takes_focal: Whether a known focal length changes the metres.
        predicts_focal: Says of a config.json whether the model finds the focal length itself.
    """

    metric: str
    read: Callable[[Any, Any, Any, tuple[int, int], float | None], Prediction]
    refusal: Callable[[Mapping[str, Any]], str]
    takes_focal: bool = False
    predicts_focal: Callable[[Mapping[str, Any]], bool] = lambda config: False


def array_of(depth: Any) -> Floats:
    """Return a tensor as an array of doubles."""
    result: Floats = depth.detach().cpu().double().numpy()
    return result
