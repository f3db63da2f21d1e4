"""Deployment: versions, the ``live`` link, copies, reload, proof and roll-back."""
