"""What tells kinds of data by their form, for `thuja init`; one kind per file, listed in `thuja.data.infer.RECOGNISERS`."""
