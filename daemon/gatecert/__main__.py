"""The ``gatecert`` command; also ``python -m gatecert``."""

from __future__ import annotations

from gatecert.garbage_collection import quick_imports


def main() -> None:
    """Run the command line and exit."""
    with quick_imports():
        from gatecert.cli import run  # noqa: PLC0415 - importing this module must cost nothing
    run()


if __name__ == "__main__":
    main()
