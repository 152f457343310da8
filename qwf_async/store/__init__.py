"""What is stored on a server: it is opened, listed, read, changed and observed."""
