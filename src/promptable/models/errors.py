"""What goes wrong between a model and its files. Importable without torch."""


class ModelError(ValueError):
    """A model cannot be loaded so: the message names the file or the device, and says what is wrong with it."""
