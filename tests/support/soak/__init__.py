"""Random ingests under random faults, and the check of what is stored in the end."""
