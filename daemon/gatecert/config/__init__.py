"""What the operator wrote: schema, loading, and errors that name file, line and key."""
