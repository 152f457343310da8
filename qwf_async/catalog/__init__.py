"""Names, generations and loads: what the control keys on the server say, and how they change together."""
