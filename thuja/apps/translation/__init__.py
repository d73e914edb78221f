"""Machine translation: a text in one language to the same in another."""
