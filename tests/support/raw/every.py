"""One way to curate every dataset's fixture: {dataset: (writer of its raw files, options)}."""

from importlib import import_module
from pkgutil import iter_modules

from support import raw

EVERY = {}
for _module in iter_modules(raw.__path__):
    EVERY |= getattr(import_module(f"{raw.__name__}.{_module.name}"), "FIXTURES", {})
EVERY = dict(sorted(EVERY.items()))
