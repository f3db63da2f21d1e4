"""The ``gatecert`` command; also ``python -m gatecert``."""

from __future__ import annotations

from gatecert.garbage_collection import quick_imports
from gatecert.system_calls import keep_memory_private


def main() -> None:
    """Run the command line and exit."""
    keep_memory_private()
    with quick_imports():
        from gatecert.cli import run  # noqa: PLC0415 - importing this module must cost nothing
    run()


if __name__ == "__main__":
    main()
