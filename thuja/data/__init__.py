"""Rows at rest: sources, splits, order, the cache of encoded columns, what `init` sees and what `check` finds. No torch."""
