"""A page that shows what is stored and what is being loaded, and its API, which any client may read."""
