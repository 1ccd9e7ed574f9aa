"""ETH3D: photographs of the high-resolution multi-view benchmark with laser-scanned depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...cameras.colmap import images_with_cameras
from ...errors import DepthLMError, RecordError
from ...geometry.rigid import inverse
from ..frames import Frame, Item
from ..reading import Official, Reader, missing

_CALIBRATION, _PICTURES = "dslr_calibration_jpg", "images/dslr_images"


@dataclass(frozen=True)
class Eth3d(Reader):
    """ETH3D: 454 photographs of 13 places with laser-scanned depth (Schoeps et al., 2017).

    Source: eth3d.net, high-resolution multi-view, training: `multi_view_training_dslr_jpg.7z` and
    `<scene>_dslr_depth.7z`, unpacked into one folder, so that a scene's folder holds `images/`,
    `dslr_calibration_jpg/` and `ground_truth_depth/`. Undistorted pictures are not needed.

    Licence: CC BY-NC-SA 4.0.

    Camera: Nikon D3X, 6048x4032, distorted, COLMAP's THIN_PRISM_FISHEYE: `cameras.txt` by way of
    `images.txt`. Pixels count from corners there: the first centre is (0.5, 0.5).

    Depth: z along the principal axis, of the distorted picture: single points of a laser scanner,
    so most pixels have none.

    Units: float32 metres without a header, row by row, in files that are named `.JPG`.

    Invalid: infinity.

    Split: `train`, the only one with depth: all 454, used for evaluation. Scenes are the places;
    delivery_area, kicker, office, pipes, relief, relief_2 and terrains are indoors.
    """

    SPLITS: ClassVar[tuple[str, ...]] = ("train",)
    STORED_DEPTH: ClassVar[str] = "z, m"
    CALIBRATED: ClassVar[bool] = True
    MOTION: ClassVar[tuple[str, ...]] = ("pose",)
    OFFICIAL: ClassVar[Official] = Official(
        "distance",
        "train",
        border_px=10,
        note="They were drawn from pictures reduced to a height of at most 1280, at least 10 of"
        " those pixels from the border; here 10 of the stored picture. Their rays left out four of"
        " the lens's eight coefficients and half a pixel, and took the first camera of a scene for"
        " all its pictures, which is not repeated here. Which pixels were drawn was not published.",
    )

    def items(self) -> Iterator[Item]:
        """Yield the pictures as `<scene>/<name>`, scene by scene."""
        scenes = {
            path.relative_to(self.root).parts[0]
            for pattern in (_CALIBRATION, _PICTURES)
            for path in self.root.glob(f"*/{pattern}")
        }
        if not scenes:
            raise missing(self.root, "ETH3D", f"<scene>/{_PICTURES}/, <scene>/{_CALIBRATION}/")
        for scene in sorted(scenes):
            folder = self.root / scene / _CALIBRATION
            images, cameras = (
                self.below(folder / name, f"eth3d {scene}")
                for name in ("images.txt", "cameras.txt")
            )
            for file in (images, cameras):
                if not file.is_file():
                    raise DepthLMError(f"{file} does not exist; is the download complete?")
            for image, camera in images_with_cameras(images, cameras):
                name = PurePosixPath(image.name)
                yield Item(f"{scene}/{name.stem}", (name.name, image, camera))

    def load(self, item: Item) -> Frame:
        """Return a picture with its depth map."""
        where = f"eth3d {item.frame_id}"
        name, image, stored = item.at
        scene = item.frame_id.split("/")[0]
        folder = self.root / scene
        depth = self.below(folder / "ground_truth_depth" / "dslr_images" / name, where)
        return Frame(
            folder / _PICTURES / name,
            stored.camera(),
            "z",
            depth_m=_read_depth(depth, stored.size_wh, scene, where),
            scene=scene,
            camera_name=str(image.camera_id),
            pose=inverse(image.world_to_camera()),
        )


def _read_depth(
    path: Path, size_wh: tuple[int, int], scene: str, where: str
) -> NDArray[np.float32]:
    """Return the metres (H, W), infinite where there are none."""
    width, height = size_wh
    if not path.is_file():
        raise RecordError(
            "missing depth",
            where,
            f"{path} does not exist; unpack {scene}_dslr_depth.7z into the same folder",
        )
    size = path.stat().st_size
    if size != 4 * width * height:
        raise RecordError(
            "bad depth file",
            where,
            f"{path} has {size} bytes, expected the {4 * width * height} of {width}x{height} 32-bit"
            " numbers; fetch it again, and take care not to put the picture of that name there",
        )
    values: NDArray[np.float32] = np.fromfile(path, dtype="<f4").reshape(height, width)
    return values
