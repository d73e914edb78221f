"""The engine: what precedes step one, the loop, optimisers, looks, diagnoses, checkpoints. Knows Task, never an application."""
