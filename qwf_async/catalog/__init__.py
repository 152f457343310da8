"""Names, generations and loads: what the control keys on the server mean, and how they change together."""
