"""`.npz` files, which are archives of NumPy arrays: read, not written."""
