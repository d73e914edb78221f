"""Whole series: a class or a number for each."""
