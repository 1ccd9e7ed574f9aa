"""The base VLMs that recipes are made for: one entry each, facts only.

`Sizes` are those of transformers' own classes with the sizes that each release publishes
(`tests/support/published_sizes.py`; `sizes.sizes_of` counts). Not every release was at hand to look
at: those of Qwen3.5 and Gemma 4 E4B come from their model cards and from conversions.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import families
from .families import Family
from .sizes import Sizes


@dataclass(frozen=True)
class Base:
    """One base VLM.

    Attributes:
        stem: In the names of its recipes, `depthlm_STEM_lora`.
        name: As its makers call it.
        path: On the hub, or a local folder.
        family: How it sees.
        sizes: How large it is.
    """

    stem: str
    name: str
    path: str
    family: Family
    sizes: Sizes


BASES = (
    Base(
        "qwen", "Qwen2.5-VL-3B", "Qwen/Qwen2.5-VL-3B-Instruct",
        families.QWEN2_5_VL,
        Sizes(
            language=2_774_773_760, tables=311_164_928, vision=668_684_288,
            merger=36_708_608, language_sides=1_870_848, vision_sides=696_960,
            layers=36, hidden=2_048, inner=11_008, vocabulary=151_936,
            vision_layers=32, vision_hidden=1_280, vision_inner=3_420,
        ),
    ),
    Base(
        "qwen_7b", "Qwen2.5-VL-7B", "Qwen/Qwen2.5-VL-7B-Instruct",
        families.QWEN2_5_VL,
        Sizes(
            language=6_525_621_760, tables=1_089_994_752, vision=676_550_144,
            merger=44_574_464, language_sides=2_523_136, vision_sides=696_960,
            layers=28, hidden=3_584, inner=18_944, vocabulary=152_064,
            vision_layers=32, vision_hidden=1_280, vision_inner=3_420,
        ),
    ),
    Base(
        "qwen_32b", "Qwen2.5-VL-32B", "Qwen/Qwen2.5-VL-32B-Instruct",
        families.QWEN2_5_VL,
        Sizes(
            language=31_206_740_992, tables=1_557_135_360, vision=688_841_984,
            merger=52_440_320, language_sides=8_388_608, vision_sides=700_416,
            layers=64, hidden=5_120, inner=27_648, vocabulary=152_064,
            vision_layers=32, vision_hidden=1_280, vision_inner=3_456,
        ),
    ),
    Base(
        "qwen_72b", "Qwen2.5-VL-72B", "Qwen/Qwen2.5-VL-72B-Instruct",
        families.QWEN2_5_VL,
        Sizes(
            language=70_214_787_072, tables=2_491_416_576, vision=704_573_696,
            merger=68_172_032, language_sides=13_158_400, vision_sides=700_416,
            layers=80, hidden=8_192, inner=29_568, vocabulary=152_064,
            vision_layers=32, vision_hidden=1_280, vision_inner=3_456,
        ),
    ),
    Base(
        "qwen3vl_2b", "Qwen3-VL-2B", "Qwen/Qwen3-VL-2B-Instruct",
        families.QWEN3_VL,
        Sizes(
            language=1_409_410_048, tables=311_164_928, vision=406_957_056,
            merger=25_174_016, language_sides=1_089_536, vision_sides=436_224,
            layers=28, hidden=2_048, inner=6_144, vocabulary=151_936,
            vision_layers=24, vision_hidden=1_024, vision_inner=4_096,
        ),
    ),
    Base(
        "qwen3vl_4b", "Qwen3-VL-4B", "Qwen/Qwen3-VL-4B-Instruct",
        families.QWEN3_VL,
        Sizes(
            language=3_633_511_936, tables=388_956_160, vision=415_347_712,
            merger=27_271_680, language_sides=2_064_384, vision_sides=437_760,
            layers=36, hidden=2_560, inner=9_728, vocabulary=151_936,
            vision_layers=24, vision_hidden=1_024, vision_inner=4_096,
        ),
    ),
    Base(
        "qwen3vl_8b", "Qwen3-VL-8B", "Qwen/Qwen3-VL-8B-Instruct",
        families.QWEN3_VL,
        Sizes(
            language=6_946_075_648, tables=1_244_659_712, vision=576_388_336,
            merger=40_119_040, language_sides=2_727_936, vision_sides=535_008,
            layers=36, hidden=4_096, inner=12_288, vocabulary=151_936,
            vision_layers=27, vision_hidden=1_152, vision_inner=4_608,
        ),
    ),
    Base(
        "qwen3vl_32b", "Qwen3-VL-32B", "Qwen/Qwen3-VL-32B-Instruct",
        families.QWEN3_VL,
        Sizes(
            language=31_206_298_624, tables=1_555_824_640, vision=595_266_800,
            merger=44_838_656, language_sides=8_388_608, vision_sides=538_080,
            layers=64, hidden=5_120, inner=25_600, vocabulary=151_936,
            vision_layers=27, vision_hidden=1_152, vision_inner=4_608,
        ),
    ),
    Base(
        "qwen3vl_30b", "Qwen3-VL-30B-A3B", "Qwen/Qwen3-VL-30B-A3B-Instruct",
        families.QWEN3_VL,
        Sizes(
            language=29_909_792_768, tables=622_329_856, vision=538_631_408,
            merger=30_679_808, language_sides=835_584, vision_sides=528_864,
            layers=48, hidden=2_048, inner=6_144, vocabulary=151_936,
            vision_layers=27, vision_hidden=1_152, vision_inner=4_608, experts=True,
            active=2_730_702_848,
        ),
    ),
    Base(
        "qwen3_5_4b", "Qwen3.5-4B", "Qwen/Qwen3.5-4B",
        families.QWEN3_5,
        Sizes(
            language=3_570_052_096, tables=635_699_200, vision=333_514_240,
            merger=27_271_680, language_sides=2_029_056, vision_sides=393_216,
            layers=32, hidden=2_560, inner=9_216, vocabulary=248_320,
            vision_layers=24, vision_hidden=1_024, vision_inner=4_096,
        ),
    ),
    Base(
        "qwen3_5_9b", "Qwen3.5-9B", "Qwen/Qwen3.5-9B",
        families.QWEN3_5,
        Sizes(
            language=6_919_565_824, tables=2_034_237_440, vision=456_010_480,
            merger=40_119_040, language_sides=2_704_896, vision_sides=481_248,
            layers=32, hidden=4_096, inner=12_288, vocabulary=248_320,
            vision_layers=27, vision_hidden=1_152, vision_inner=4_304,
        ),
    ),
    Base(
        "pixtral", "Pixtral-12B", "mistral-community/pixtral-12b",
        families.PIXTRAL,
        Sizes(
            language=10_905_605_120, tables=1_342_177_280, vision=434_957_312,
            merger=31_467_520, language_sides=3_563_520, vision_sides=565_248,
            layers=40, hidden=5_120, inner=14_336, vocabulary=131_072,
            vision_layers=24, vision_hidden=1_024, vision_inner=4_096,
        ),
    ),
    Base(
        "mistral_small", "Mistral-Small-3.2-24B", "mistralai/Mistral-Small-3.2-24B-Instruct-2506",
        families.MISTRAL_SMALL,
        Sizes(
            language=22_230_225_920, tables=1_342_177_280, vision=438_958_080,
            merger=35_652_608, language_sides=5_775_360, vision_sides=565_248,
            layers=40, hidden=5_120, inner=32_768, vocabulary=131_072,
            vision_layers=24, vision_hidden=1_024, vision_inner=4_096,
        ),
    ),
    Base(
        "internvl3_2b", "InternVL3-2B", "OpenGVLab/InternVL3-2B-hf",
        families.INTERNVL,
        Sizes(
            language=1_310_340_608, tables=465_942_528, vision=312_674_304,
            merger=8_662_016, language_sides=1_154_048, vision_sides=442_368,
            layers=28, hidden=1_536, inner=8_960, vocabulary=151_674,
            vision_layers=24, vision_hidden=1_024, vision_inner=4_096,
        ),
    ),
    Base(
        "internvl3_8b", "InternVL3-8B", "OpenGVLab/InternVL3-8B-hf",
        families.INTERNVL,
        Sizes(
            language=6_525_621_760, tables=1_087_199_232, vision=331_552_768,
            merger=27_540_480, language_sides=2_523_136, vision_sides=442_368,
            layers=28, hidden=3_584, inner=18_944, vocabulary=151_674,
            vision_layers=24, vision_hidden=1_024, vision_inner=4_096,
        ),
    ),
    Base(
        "internvl3_5_4b", "InternVL3.5-4B", "OpenGVLab/InternVL3_5-4B-HF",
        families.INTERNVL,
        Sizes(
            language=3_633_511_936, tables=777_912_320, vision=321_064_960,
            merger=17_052_672, language_sides=2_064_384, vision_sides=442_368,
            layers=36, hidden=2_560, inner=9_728, vocabulary=151_936,
            vision_layers=24, vision_hidden=1_024, vision_inner=4_096,
        ),
    ),
    Base(
        "internvl3_5_8b", "InternVL3.5-8B", "OpenGVLab/InternVL3_5-8B-HF",
        families.INTERNVL,
        Sizes(
            language=6_946_075_648, tables=1_244_659_712, vision=337_583_104,
            merger=33_570_816, language_sides=2_727_936, vision_sides=442_368,
            layers=36, hidden=4_096, inner=12_288, vocabulary=151_936,
            vision_layers=24, vision_hidden=1_024, vision_inner=4_096,
        ),
    ),
    Base(
        "gemma3_4b", "Gemma-3-4B", "google/gemma-3-4b-it",
        families.GEMMA3,
        Sizes(
            language=3_209_010_688, tables=671_252_480, vision=419_816_304,
            merger=2_950_272, language_sides=1_862_656, vision_sides=543_456,
            layers=34, hidden=2_560, inner=10_240, vocabulary=262_208,
            vision_layers=27, vision_hidden=1_152, vision_inner=4_304,
        ),
    ),
    Base(
        "gemma3_12b", "Gemma-3-12B", "google/gemma-3-12b-it",
        families.GEMMA3,
        Sizes(
            language=10_759_155_456, tables=1_006_878_720, vision=421_290_864,
            merger=4_424_832, language_sides=4_091_904, vision_sides=543_456,
            layers=48, hidden=3_840, inner=15_360, vocabulary=262_208,
            vision_layers=27, vision_hidden=1_152, vision_inner=4_304,
        ),
    ),
    Base(
        "gemma4_e4b", "Gemma-4-E4B", "google/gemma-4-E4B-it",
        families.GEMMA4,
        Sizes(
            language=3_973_352_448, tables=3_489_660_928, vision=478_087_456,
            merger=5_898_240, language_sides=2_429_952, vision_sides=718_848,
            layers=42, hidden=2_560, inner=10_240, vocabulary=262_144,
            vision_layers=16, vision_hidden=768, vision_inner=4_096,
        ),
    ),
    Base(
        "glm4_1v", "GLM-4.1V-9B", "zai-org/GLM-4.1V-9B-Thinking",
        families.GLM_4V,
        Sizes(
            language=8_158_765_056, tables=1_241_513_984, vision=892_498_432,
            merger=185_081_856, language_sides=2_974_720, vision_sides=626_688,
            layers=40, hidden=4_096, inner=13_696, vocabulary=151_552,
            vision_layers=24, vision_hidden=1_536, vision_inner=4_096,
        ),
    ),
    Base(
        "lfm2vl", "LFM2.5-VL-1.6B", "LiquidAI/LFM2.5-VL-1.6B",
        families.LFM2_VL,
        Sizes(
            language=1_036_122_880, tables=134_217_728, vision=429_702_896,
            merger=17_053_184, language_sides=694_272, vision_sides=545_376,
            layers=16, hidden=2_048, inner=8_192, vocabulary=65_536,
            vision_layers=27, vision_hidden=1_152, vision_inner=4_304,
        ),
    ),
    Base(
        "llava_next", "LLaVA-NeXT-Mistral-7B", "llava-hf/llava-v1.6-mistral-7b-hf",
        families.LLAVA_NEXT,
        Sizes(
            language=6_979_588_096, tables=262_668_288, vision=324_491_264,
            merger=20_979_712, language_sides=2_621_440, vision_sides=442_368,
            layers=32, hidden=4_096, inner=14_336, vocabulary=32_064,
            vision_layers=24, vision_hidden=1_024, vision_inner=4_096,
        ),
    ),
    Base(
        "llama3_2_11b", "Llama-3.2-11B-Vision", "meta-llama/Llama-3.2-11B-Vision-Instruct",
        families.LLAMA3_2,
        Sizes(
            language=8_724_486_160, tables=1_050_705_920, vision=895_028_755,
            merger=31_461_376, language_sides=3_276_800, vision_sides=921_600,
            layers=40, hidden=4_096, inner=14_336, vocabulary=128_256,
            vision_layers=32, vision_hidden=1_280, vision_inner=5_120,
        ),
    ),
    Base(
        "llama4_scout", "Llama-4-Scout-17B-16E", "meta-llama/Llama-4-Scout-17B-16E-Instruct",
        families.LLAMA4,
        Sizes(
            language=105_700_889_600, tables=2_068_971_520, vision=872_563_200,
            merger=20_971_520, language_sides=3_736_320, vision_sides=881_612,
            layers=48, hidden=5_120, inner=8_192, vocabulary=202_048,
            vision_layers=34, vision_hidden=1_408, vision_inner=5_632, experts=True,
            active=15_103_923_200,
        ),
    ),
)  # fmt: skip
