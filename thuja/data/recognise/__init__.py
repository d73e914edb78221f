"""Kinds of data that are told by their form, one a file; `thuja.data.infer.RECOGNISERS` lists them."""
