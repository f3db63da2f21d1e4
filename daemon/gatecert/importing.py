"""Imports without work that finds nothing.

- What a module defines stays until the process ends: looking through it for garbage while it grows
  takes a tenth of a command's time.
- Before pydantic builds its first model, it searches every installed package for plugins of itself.
  gatecert wants none: they would see every setting.
"""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import without garbage collection, and never look through what is imported."""
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
