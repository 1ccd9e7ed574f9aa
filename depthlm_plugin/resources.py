"""Where the package's templates and recipes are, installed from a wheel or editable."""

from pathlib import Path


def data_folder(name: str) -> Path:
    """Return the folder `templates` or `recipes`."""
    package = Path(__file__).resolve().parent
    inside = package / name  # a wheel holds them in the package
    return inside if inside.is_dir() else package.parent / name
