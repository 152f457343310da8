"""What is stored on a server: opened, listed, read, changed, observed."""
