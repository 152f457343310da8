"""ψ from files, and to files: a module or folder for each format, what they share, and the `table` that lists them."""
