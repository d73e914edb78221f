"""Whole networks: a frozen settings class and a module per file."""
