"""The process that follows a fleet's database, and answers challenges for other hosts."""
