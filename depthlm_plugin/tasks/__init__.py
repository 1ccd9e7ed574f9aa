"""The questions that depthlm can ask: every module of this folder with a `TASK` is one."""

from .discovery import find_options, find_tasks
from .options import AskSettings
from .task import NotAskableError, QuestionContext, Task, Truth

_HELPERS = {"discovery", "options", "pairs", "task", "written"}

TASKS = find_tasks(__name__, __path__, besides=_HELPERS)
"""Every task by its name."""

OPTIONS = find_options(TASKS.values())
"""Every key of the `depthlm:` block that a task declares."""

__all__ = ["OPTIONS", "TASKS", "AskSettings", "NotAskableError", "QuestionContext", "Task", "Truth"]
