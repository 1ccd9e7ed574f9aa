"""A street whose every distance is known, for fixtures with lidars: analytic, in NumPy.

World frame: x east, y north, z up, metres; the road is z = 0. Boxes stand on it. Cameras are those
of `scene`: a pose is camera to world, camera axes x right, y down, z forward.
"""

import numpy as np

# low and high corner: two house fronts, a truck, a car, a wall across the end of the street, a sky
BOXES = np.array(
    [
        [(-70, 12, 0), (90, 30, 61)],
        [(-70, -30, 0), (90, -11, 61)],
        [(16, 2, 0), (24, 4.5, 3.2)],
        [(9, -4, 0), (13, -2.2, 1.5)],
        [(75, -40, 0), (80, 40, 61)],
        [(-80, -40, 0), (-60, 40, 61)],
        [(-100, -50, 60), (100, 50, 61)],
    ]
)
HIDING = 3  # the car: low enough for a lidar on a roof to look over


def cast(starts, rays):
    """Return the distances (...) from places (..., 3) along unit rays (..., 3) to what they hit."""
    rays = np.where(np.abs(rays) < 1e-12, 1e-12, rays)
    starts, rays = (np.ascontiguousarray(np.moveaxis(one, -1, 0)) for one in (starts, rays))
    road = -starts[2] / rays[2]
    distance = np.where(road > 0, road, np.inf)
    for low, high in BOXES:
        enters, leaves = -np.inf, np.inf
        for axis in range(3):  # as reductions over an axis of 3 these took most of the tests' time
            near = (low[axis] - starts[axis]) / rays[axis]
            far = (high[axis] - starts[axis]) / rays[axis]
            enters = np.maximum(enters, np.minimum(near, far))
            leaves = np.minimum(leaves, np.maximum(near, far))
        distance = np.where(
            (enters > 0) & (enters < leaves), np.minimum(enters, distance), distance
        )
    return distance


def _rays(camera, pose, u, v):
    rays = camera.rays(u, v)
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    return rays @ pose[:3, :3].T


def distance_at(camera, pose, u, v):
    rays = _rays(camera, pose, u, v)
    return cast(np.broadcast_to(pose[:3, 3], rays.shape), rays)


def picture(camera, pose):
    """Return the photograph (H, W, 3) uint8: a checker of a metre."""
    v, u = np.mgrid[: camera.height, : camera.width]
    distance = distance_at(camera, pose, u, v)
    points = pose[:3, 3] + _rays(camera, pose, u, v) * distance[..., None]
    weave = np.mod(np.floor(points + 0.01).sum(-1), 2)
    shade = np.clip(1.2 - distance / 100, 0.3, 1)[..., None]
    colours = np.where(weave[..., None] > 0, (190.0, 180.0, 160.0), (80.0, 95.0, 120.0))
    return (colours * shade).astype(np.uint8)


def car_pose(x, y, yaw_deg, z=0.0):
    """Return ego to world: x forward, y left, z up."""
    yaw = np.deg2rad(yaw_deg)
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:3, 3] = x, y, z
    return pose


def mounted(yaw_deg, at, pitch_deg=0.0):
    """Return camera to ego: looking to the left of forward by `yaw_deg`, down by `pitch_deg`."""
    yaw, pitch = np.deg2rad([yaw_deg, pitch_deg])
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], 1)
    pose[:3, 3] = at
    return pose


def sweep(lidar_to_world, elevations_deg, columns, rng=None):
    """Return the points (N, 3) that a spinning lidar measures, in its own frame, and nothing else.

    Beams by elevation (degrees above the horizon), `columns` azimuths over a full turn.
    """
    azimuth = np.linspace(-np.pi, np.pi, columns, endpoint=False)
    elevation = np.deg2rad(np.asarray(elevations_deg, float))[:, None]
    rays = np.stack(
        np.broadcast_arrays(
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ),
        -1,
    ).reshape(-1, 3)
    there = rays @ lidar_to_world[:3, :3].T
    distance = cast(np.broadcast_to(lidar_to_world[:3, 3], there.shape), there)
    good = distance < 120
    points = rays[good] * distance[good, None]
    return points if rng is None else points[rng.permutation(len(points))]


def quaternion(matrix):
    """Return the unit quaternion (w, x, y, z) of a rotation, by its eigenvector."""
    m = np.asarray(matrix)[:3, :3]
    xx, yx, zx, xy, yy, zy, xz, yz, zz = m.T.reshape(-1)[[0, 1, 2, 3, 4, 5, 6, 7, 8]]
    k = (
        np.array(
            [
                [xx - yy - zz, 0, 0, 0],
                [yx + xy, yy - xx - zz, 0, 0],
                [zx + xz, zy + yz, zz - xx - yy, 0],
                [zy - yz, xz - zx, yx - xy, xx + yy + zz],
            ]
        )
        / 3
    )
    values, vectors = np.linalg.eigh(k, UPLO="L")
    x, y, z, w = vectors[:, values.argmax()]
    return np.array([w, x, y, z]) * (1 if w >= 0 else -1)
