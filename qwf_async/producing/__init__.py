"""Many producers of one load: it is begun and published once, and written by tickets from any process."""
