"""Studies that other storages of Optuna hold: they are read, and never written."""
