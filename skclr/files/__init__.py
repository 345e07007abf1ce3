"""Files: the format of models, values without code, atomic and resumable writing."""
