"""ψ from files, and to files: a module or a folder a format, what they share, and the `table` that lists them."""
