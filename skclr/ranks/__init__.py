"""Training one model in several processes (ranks): communication and start-up."""
