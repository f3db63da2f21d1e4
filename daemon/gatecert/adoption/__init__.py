"""Adoption of the accounts and certificates of other ACME clients (decision record 0019)."""
