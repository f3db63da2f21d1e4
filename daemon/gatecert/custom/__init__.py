"""Custom certificates: keys and CSRs of the gateway, signed elsewhere and imported."""
