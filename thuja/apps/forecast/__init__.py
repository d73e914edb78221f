"""Forecasts: how a series goes on, with a range that holds the truth four times in five."""
