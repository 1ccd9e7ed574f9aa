"""Lenses as calibrations find them, and some that are hard to invert."""

from depthlm_plugin.geometry.lens import Lens

# As calibrated: a phone, a webcam, a wide lens with k3 (turns at r = 1.17), pincushion, three
# fisheyes (a TUM-VI camera, one that turns at 75 degrees, an equidistant one), and two with thin
# prism terms (the camera of ETH3D; one that turns, whose prism is as strong as a decentred add-on).
LENSES = {
    "phone": Lens("opencv", (0.0812, -0.172, -0.00036, 0.00021, 0.071)),
    "webcam": Lens("opencv", (-0.2834, 0.0739, 0.00019, 0.00002)),
    "folds": Lens("opencv", (-0.32, 0.12, 0.0008, -0.0011, -0.03)),
    "folds, no tangential": Lens("opencv", (-0.32, 0.0, 0.0, 0.0)),  # turns at r = sqrt(1 / 0.96)
    "pincushion": Lens("opencv", (0.12, 0.03, -0.001, 0.002)),
    "fisheye": Lens("fisheye", (0.0034823, 0.0007150, -0.0020532, 0.00020293)),
    "fisheye folds": Lens("fisheye", (-0.05, -0.06, -0.01, -0.004)),
    "equidistant": Lens("fisheye", (0.0, 0.0, 0.0, 0.0)),
    "eth3d": Lens(
        "thin_prism_fisheye",
        (0.21047, 0.21102, -5.36231e-06, 0.00051541, -0.158023, 0.406856, -8.46499e-05, 0.00086131),
    ),
    "prism folds": Lens(
        "thin_prism_fisheye", (-0.05, -0.06, 0.012, -0.007, -0.01, -0.004, 0.02, -0.015)
    ),
}
