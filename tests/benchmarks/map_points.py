"""A depth map from a tenth of the questions, against asking about every pixel of a grid.

    python tests/benchmarks/map_points.py

The demo's scenes tell exact depth. The model is played by that truth, exact or with an error of its
own for each pixel (log-normal, 12 %), because a real one's errors would hide those of the filling
in. Compared at the pixels of a 96x72 grid: answers to all of them, an even grid of a tenth as
many, half of that and the rest where depth jumps (`--adaptive`).
"""

from __future__ import annotations

import numpy as np

from depthlm_plugin.cameras.source import FoundCamera
from depthlm_plugin.demo.scenes import Scene, render_scene
from depthlm_plugin.maps.adaptive import even_grid, grid_of
from depthlm_plugin.maps.asking import ask_about
from depthlm_plugin.maps.depth_map import DepthMap
from depthlm_plugin.scoring.maps import score_map

GRID = 84, 72  # no picture of the demo is smaller
SCENES = 24
SKY_M = 80.0
METRICS = "delta1", "abs_rel", "edge_f1", "wrong_order", "plane_noise"


def true_z(scene: Scene) -> np.ndarray:
    """Return the z-depth of a scene (H, W), metres; the sky is far away."""
    width, height = scene.camera.size_wh
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
    over_z = scene.camera.distance_over_z(pixels).reshape(height, width)
    return np.where(np.isfinite(scene.distance_m), scene.distance_m / over_z, SKY_M)


def scores(scene: Scene, noise: float, seed: int) -> dict[str, dict[str, float]]:
    """Return the scores of each way to ask about a scene, on the grid's pixels."""
    size_wh = scene.camera.size_wh
    truth = true_z(scene)
    told = truth * np.exp(noise * np.random.default_rng(seed).standard_normal(truth.shape))
    everywhere = even_grid(size_wh, GRID)

    def at(values: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        x, y = pixels.astype(int).T
        return values[y, x]

    def on_grid(values: np.ndarray) -> np.ndarray:
        return at(values, everywhere).reshape(GRID[::-1])

    tenth = len(everywhere) // 10
    maps = {"all": on_grid(told)}
    for name, first in (("even tenth", tenth), ("adaptive tenth", tenth // 2)):
        grid = even_grid(size_wh, grid_of(size_wh, first))
        more = tenth - len(grid) if first < tenth else 0
        answers = ask_about(lambda pixels: at(told, pixels), grid, more)
        found = FoundCamera(scene.camera, "camera", "the scene's")
        depth = DepthMap.of_answers(found, scene.image, answers.pixels, answers.z_m)
        maps[name] = on_grid(depth.z_m)
    truth = np.where(np.isfinite(scene.distance_m), truth, np.nan)  # the sky does not count
    return {name: score_map(z, on_grid(truth), quantity="z") for name, z in maps.items()}


def main() -> None:
    """Print the table."""
    print(f"{SCENES} scenes, {GRID[0]}x{GRID[1]} = {GRID[0] * GRID[1]} pixels compared")
    for noise in (0.0, 0.12):
        rows = [scores(render_scene(np.random.default_rng([11, at])), noise, at)
                for at in range(SCENES)]  # fmt: skip
        print(f"\nanswers {'exact' if not noise else f'with an error of {noise:.0%} each'}")
        print(f"{'':16}" + "".join(f"{name:>13}" for name in METRICS))
        for way in rows[0]:
            found = {name: [row[way][name] for row in rows if name in row[way]] for name in METRICS}
            cells = [f"{np.mean(values):13.4f}" for values in found.values()]
            print(f"{way:16}" + "".join(cells))


if __name__ == "__main__":
    main()
