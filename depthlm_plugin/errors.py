"""The errors that depthlm raises: each says what, where, what was expected and what to do."""


class DepthLMError(Exception):
    """Base of every error raised on purpose by this package."""


class ConfigError(DepthLMError):
    """A recipe, a `depthlm:` block or a command line asks for something that cannot be done."""


class GeometryError(DepthLMError):
    """A camera or a view that cannot exist, or that would change the focal length."""


class HostError(DepthLMError):
    """LLaMA-Factory is not the one this package knows how to extend."""


class RecordError(DepthLMError):
    """A record, or the image it names, cannot be used.

    Args:
        reason: A short stable word under which `on_error: skip` and `depthlm validate` count it.
        where: File and line (or row) of the record.
        message: What was found, what was expected and what to do.
    """

    def __init__(self, reason: str, where: str, message: str) -> None:
        super().__init__(reason, where, message)  # the arguments, so that it survives pickling
        self.reason = reason
        self.where = where
        self.message = message

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def did_you_mean(name: str, known: list[str]) -> str:
    """Return `; did you mean 'x'? known: a, b` for an unknown `name`."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.5)
    guess = f"; did you mean {close[0]!r}?" if close else ";"
    return f"{guess} known: {', '.join(known)}"
