"""Kinds of data that are told by their form, one recogniser a file (`thuja.data.guess.Recogniser`)."""
