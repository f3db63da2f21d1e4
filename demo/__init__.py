"""The whole story in half a minute, on a real authority, a real gateway and a real client."""
