"""Models on CLIP's and SigLIP's image processors: LLaVA-1.5, Yi-VL, PaliGemma, Gemma 3n."""

from ..family import Family
from ..grid import resized

FAMILY = Family(("CLIPImageProcessor", "LlavaImageProcessor", "SiglipImageProcessor"), resized)
