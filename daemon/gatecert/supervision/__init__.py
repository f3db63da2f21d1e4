"""The core's side of worker processes: messages, processes, and what they are given to do."""
