"""Processes of two hosts that optimise one study under random faults, and the check of what is there in the end."""
