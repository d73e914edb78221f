"""What a run is worth, from one file of outputs: scores with intervals, a page for people, a model card. No torch; it knows no application."""
