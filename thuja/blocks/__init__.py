"""The building blocks, readable and cited; they import torch and nothing of ours, and can be lifted out."""
