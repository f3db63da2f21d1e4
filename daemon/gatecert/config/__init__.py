"""Configuration: schema, loading, and errors that name file, line and key."""
