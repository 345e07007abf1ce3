"""Files of skclr: the format of models, values without code, and writing that is whole or not at all."""
