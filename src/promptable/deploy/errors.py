"""The error that several parts of a deployment raise."""


class DeployError(ValueError):
    """The function cannot be deployed so: the message says what was expected and what came."""
