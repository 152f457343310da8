"""Stored wavefunctions written to files: npy, raw, HDF5, Zarr, NetCDF and Gaussian cube."""
