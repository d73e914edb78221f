"""The life of an application after deployment: what happened, how it fares, when to renew it. No torch."""
