"""What is fit about a server and this machine, what is not, and the cure."""
