"""Timing: pure decisions in ``due`` and ``spread``, instants in ``timetable``."""
