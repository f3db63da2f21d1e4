"""``worker``: the process that does the work of the daemon."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from gatecert.config.schema.base import Settings
from gatecert.config.values import Duration

MEBIBYTE = 1 << 20


class WorkerSettings(Settings):
    """The process that the daemon starts when work is due."""

    idle: Duration = Field(
        default=timedelta(seconds=30),
        description="How long the process stays when nothing is due.",
    )
    longest_pass: Duration = Field(
        default=timedelta(hours=1),
        description="A process that works longer than this on one gateway hangs: the daemon ends "
        "it, and starts another.",
    )
    memory_limit: Annotated[int, Field(ge=64, le=1 << 20)] = Field(
        default=768,
        description="In MiB. A process that needs more is ended, and another is started.",
    )

    @property
    def memory(self) -> int:
        """The limit in bytes."""
        return self.memory_limit * MEBIBYTE
