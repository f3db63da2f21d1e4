"""Certificates that an administrator brings: requests made here, signed elsewhere, imported."""
