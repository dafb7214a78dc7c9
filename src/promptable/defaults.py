"""What the functions and deploy.sh choose where nobody has chosen."""

AUTO = "auto"


def sam2_model(device: str) -> str:
    """The SAM 2.1 that answers a click within a second or so on this kind of device, ``cpu`` or ``cuda``."""
    return "sam2.1-large" if device.startswith("cuda") else "sam2.1-tiny"
