"""Generated images: a class name and a seed in, a picture out."""
