"""The commands of `depthlm`: one module each, with `add_arguments(parser)` and `run(args)`.

`run` returns the exit status. The modules import what is heavy (numpy, Pillow, pyarrow, ...) when
they run, not before, so that `--help` answers at once.
"""
