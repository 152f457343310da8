"""How fast the engine is on a user's own server and disk, beside a plain pipeline there, and what limits it."""
