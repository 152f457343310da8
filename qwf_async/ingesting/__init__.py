"""From a source to a published wavefunction: producer, stream, writers, and what goes wrong on the way."""
