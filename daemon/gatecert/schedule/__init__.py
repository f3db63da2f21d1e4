"""Timing: pure decisions in ``due``, timers in ``timers``."""
