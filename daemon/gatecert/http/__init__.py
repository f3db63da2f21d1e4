"""HTTP and HTTPS requests: one fetcher for ACME requests and CRL downloads."""
