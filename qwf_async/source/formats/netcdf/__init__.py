"""NetCDF files: the classic format is read here, version 4 as HDF5; version 4 is written."""
