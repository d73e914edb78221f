"""Control by reinforcement learning: a policy learned by playing in an environment."""
