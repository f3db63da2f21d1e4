"""Work that makes many objects, all of which stay: looking for garbage among them finds none.

- Imports: what a module defines stays until the process ends. The search takes a tenth of a
  command's time.
- Configurations: with 10,000 gateways the search takes a third of the time that loading one takes,
  and three quarters of unpickling one.
"""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Do not look for garbage meanwhile, in any thread; also a decorator."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import without garbage collection, and never look through what is imported.

    Before pydantic builds its first model, it searches every installed package for plugins of
    itself. gatecert wants none: they would see every setting.
    """
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    with without_garbage_collection():
        yield
        gc.freeze()
