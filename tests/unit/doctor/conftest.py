"""A healthy machine and gateway, for tests that add one problem at a time."""

from __future__ import annotations
