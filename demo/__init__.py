"""Enrolment and renewal in half a minute, with a test CA, a real gateway and a real client."""
