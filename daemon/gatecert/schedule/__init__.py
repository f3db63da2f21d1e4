"""Timing: pure decisions in ``due`` and ``spread``, timers in ``timers``."""
