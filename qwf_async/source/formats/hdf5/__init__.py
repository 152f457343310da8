"""HDF5 files: read by h5py and beside it, and written."""
