"""ψ from files: a module a format, and what they share; `dispatch` chooses by the name."""
