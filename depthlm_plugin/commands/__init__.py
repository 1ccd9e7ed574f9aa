"""What the subcommands of `depthlm` do: one module each, with a `run`."""
