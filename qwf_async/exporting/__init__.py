"""Stored wavefunctions written to files: npy, HDF5, Zarr, NetCDF and Gaussian cube."""
