"""Several processes that train one model: what they exchange, and how they start."""
