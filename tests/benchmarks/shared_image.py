"""Points a second of one picture: one by one, in batches, and together behind one picture.

    PYTHONPATH=tests python tests/benchmarks/shared_image.py [POINTS ...]

A random Qwen2.5-VL of about 8 M parameters in float32 on one thread, a picture of 1120x840 (1200
image tokens), coordinates in the text, the plain style, six tokens an answer. All ways ask the same
weights in one process, in turn; one by one and batches are measured on a few of the points. The
first points' answers must be the same in all ways. Memory is the peak above what the process held
before (Linux). Then what arithmetic expects of a 3B model on an H100.
"""

from __future__ import annotations

import random
import re
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from PIL import Image

SIZE_WH = 1120, 840
POINTS = 1, 16, 64, 256, 1024
WAYS = "single", "batched", "shared"
MEASURED = {"single": 4, "batched": 16, "shared": 1024}  # of the points, at most
BAR = {64: 20.0, 256: 25.0}  # times faster than one by one
ANSWER = 6  # tokens


def picture(folder: Path) -> Path:
    """Write a picture of soft random colours."""
    cells = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    path = folder / "a.png"
    Image.fromarray(cells).resize(SIZE_WH).save(path)
    return path


def held_kib(*, peak: bool) -> int:
    """Return the memory that this process holds, or held at most since this was last called."""
    status = Path("/proc/self/status").read_text()
    if not peak:
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    found = re.search(r"VmHWM:\s*(\d+)" if peak else r"VmRSS:\s*(\d+)", status)
    return int(found[1]) if found else 0


def main() -> None:
    """Print the tables; fail when an answer differs or a bar is missed."""
    import torch

    from depthlm_plugin import Camera, Predictor
    from depthlm_plugin.config.block import DepthLMConfig
    from depthlm_plugin.config.saved import save_config
    from depthlm_plugin.demo.tiny_vlm import build_tiny_qwen

    with redirect_stdout(sys.stderr):  # LLaMA-Factory logs to stdout
        from depthlm_plugin.host.inference import loaded

    loaded._MAX_NEW_TOKENS = ANSWER  # a random model would go on
    torch.set_num_threads(1)
    wanted = [int(number) for number in sys.argv[1:]] or list(POINTS)
    rng = random.Random(0)
    pixels = [(rng.randrange(SIZE_WH[0]), rng.randrange(SIZE_WH[1])) for _ in range(max(wanted))]
    camera = Camera(1000.0, 1000.0, SIZE_WH[0] / 2, SIZE_WH[1] / 2, SIZE_WH)
    lines, failures = [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = build_tiny_qwen(
            folder / "model", seed=0, hidden_size=256, layers=11, vision_layers=3
        )
        config = DepthLMConfig(focal_px=1000.0, reference="text", prompt="plain")
        save_config(config, model, "qwen2_vl")
        image = picture(folder)
        engines = {way: Predictor.load(model, way=way) for way in WAYS}
        for predictor in engines.values():
            predictor.ask(image, camera, pixels[:2])  # warm
        for points in wanted:
            rates, peaks, texts = {}, {}, {}
            for way, predictor in engines.items():
                asked = pixels[: min(points, MEASURED[way])]
                before = held_kib(peak=False)
                started = time.process_time()
                answers = predictor.ask(image, camera, asked)
                rates[way] = len(asked) / (time.process_time() - started)
                peaks[way] = (held_kib(peak=True) - before) / 1024
                texts[way] = [answer.text for answer in answers]
            for way in WAYS:
                same = min(len(texts[way]), len(texts["single"]))
                if texts[way][:same] != texts["single"][:same]:
                    failures.append(f"{way} at {points} points: other answers than one by one")
            times = rates["shared"] / rates["single"]
            if times < BAR.get(points, 0):
                failures.append(f"{points} points: {times:.1f} times, below {BAR[points]:g}")
            lines.append(
                f"| {points} | "
                + " | ".join(f"{rates[way]:.2f}" for way in WAYS)
                + f" | {times:.1f} | {peaks['single']:.0f} | {peaks['shared']:.0f} |"
            )
            print(lines[-1], file=sys.stderr, flush=True)
        parameters = sum(p.numel() for p in engines["shared"]._engine._model.parameters())
    print(f"{parameters / 1e6:.1f} M parameters, points a second of processor time")
    print("| points | single | batched | shared | shared / single | single, MiB | shared, MiB |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(lines))
    print("\nQwen2.5-VL-3B in bfloat16 on an H100, expected from arithmetic, points a second:\n")
    print(expected())
    if failures:
        sys.exit("\n".join(failures))


# Qwen2.5-VL-3B, and what an H100 gives in practice: half of its 990 TFLOP/s where many tokens are
# read at once, and 80 % of its 3.35 TB/s where weights and cache are read for a few.
FLOP_A_TOKEN = 5.5e9
WEIGHT_BYTES, CACHE_BYTES_A_TOKEN = 7.5e9, 36e3
FLOP_A_SECOND, BYTES_A_SECOND = 0.5 * 990e12, 0.8 * 3.35e12
VISION_FLOP = 2 * 0.67e9 * 4800  # the tower, of 4800 patches
IMAGE_TOKENS, GROUP = 1200, 256
STYLES = {"plain": (30, 6, 5), "official": (60, 36, 6)}
"""Style -> tokens of a question after the picture, of an answer, forwards for the answer."""


def expected() -> str:
    """Return the table of expected rates of one by one and of questions that share a picture."""
    lines = [
        "| style | points | one by one | shared | cache, MiB |",
        "|---|---|---|---|---|",
    ]
    for style, (question, answer, forwards) in STYLES.items():
        for points in (64, 256, 1024):
            prefill = (VISION_FLOP + FLOP_A_TOKEN * IMAGE_TOKENS) / FLOP_A_SECOND
            single = prefill + _read(question, IMAGE_TOKENS) + answer * _read(1, IMAGE_TOKENS)
            group = min(points, GROUP)
            cache = IMAGE_TOKENS + group * (question + answer)
            together = _read(group * question, cache) + forwards * _read(
                group * answer / forwards, cache
            )
            rate = points / (prefill + points / group * together)
            mebibytes = cache * CACHE_BYTES_A_TOKEN / 2**20
            lines.append(
                f"| {style} | {points} | {1 / single:.1f} | {rate:.0f} | {mebibytes:.0f} |"
            )
    return "\n".join(lines)


def _read(tokens: float, cache: float) -> float:
    """Return the seconds of one forward of some tokens, over a cache."""
    memory = (WEIGHT_BYTES + cache * CACHE_BYTES_A_TOKEN) / BYTES_A_SECOND
    return max(FLOP_A_TOKEN * tokens / FLOP_A_SECOND, memory)


if __name__ == "__main__":
    main()
