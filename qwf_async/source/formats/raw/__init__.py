"""Files of nothing but numbers, and what Fortran puts between them."""
