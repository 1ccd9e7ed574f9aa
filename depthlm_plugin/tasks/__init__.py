"""The questions that depthlm can ask: one module a task."""

from . import (
    camera_translation,
    depth,
    depth_order,
    point_correspondence,
    principal_axis_distance,
    relative_pose,
    speed,
    time,
    two_point_distance,
)
from .task import Asked, NotAskableError, Shown, Task

TASKS: dict[str, Task] = {
    module.TASK.name: module.TASK
    for module in (
        depth,
        principal_axis_distance,
        speed,
        time,
        two_point_distance,
        camera_translation,
        relative_pose,
        depth_order,
        point_correspondence,
    )
}

__all__ = ["TASKS", "Asked", "NotAskableError", "Shown", "Task"]
