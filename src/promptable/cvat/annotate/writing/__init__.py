"""From the journal into CVAT, and back: what is sent, recognised, and taken back."""
