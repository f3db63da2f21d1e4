"""Swapped: the ``live`` link, copied files, and the reload command."""
