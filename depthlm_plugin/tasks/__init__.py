"""The questions that depthlm can ask: one module a task."""

from . import depth

TASKS = {"depth": depth.targets}
