"""What a server says of itself, and how fit it is for stored data."""
