"""What the operating system has: files that are read or trusted, and signals."""
