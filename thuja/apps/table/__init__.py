"""Tables: numbers and categories in, a class or a number out."""
