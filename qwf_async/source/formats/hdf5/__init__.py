"""HDF5 files: read by h5py, or without it where their bytes are known, and written."""
