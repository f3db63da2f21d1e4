"""One gateway that several hosts order for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.leases import SharedStore
from tests.fakes.world import World

if TYPE_CHECKING:
    from pathlib import Path


class SharedWorld(World):
    """A gateway that several hosts order for; this is one of them."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.store: SharedStore = SharedStore(directory / "state")
        self.pipeline = self.new_pipeline()
