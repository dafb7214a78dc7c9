"""What goes wrong between a model and its files. Importable without torch."""


class ModelError(ValueError):
    """A model cannot be loaded as it lies there: the message names the file, and says what is wrong with it."""
