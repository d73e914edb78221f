"""Kinds of data that are told by their form, one application a file."""
