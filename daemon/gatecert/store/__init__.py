"""Persistent state: accounts, versions, requests, gateway state, tokens, locks."""
