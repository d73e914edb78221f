"""Object detection: where the things of some classes are in a picture."""
