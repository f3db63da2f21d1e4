"""``gatecert completion``: completion for shells."""

from __future__ import annotations

from typing import Annotated

import typer

from gatecert.cli.completion_scripts import SCRIPTS
from gatecert.cli.output import show_text


def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print the completion script of a shell.

    The Debian package has it in place. Elsewhere: gatecert completion bash >
    ~/.local/share/bash-completion/completions/gatecert; for zsh, save it as _gatecert in a
    directory of $fpath; for fish, as ~/.config/fish/completions/gatecert.fish.
    """
    if shell not in SCRIPTS:
        raise typer.BadParameter(f"unknown shell {shell!r}; possible: {', '.join(SCRIPTS)}")
    show_text(SCRIPTS[shell])
