"""A machine and a gateway with nothing wrong, to be made worse one thing at a time."""

from __future__ import annotations
