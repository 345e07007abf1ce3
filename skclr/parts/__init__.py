"""Pieces that frameworks and losses are made of. They know torch and nothing else of the package."""
