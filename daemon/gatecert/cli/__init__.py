"""The command line: thin Typer commands, one module a command group; the only place that exits."""
