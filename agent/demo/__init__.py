"""The demo: a whole station on one machine, with real faces, real recognition and a real broker."""
