"""Revocation: certificate revocation lists (CRLs), their download, and when to check them."""
