"""Writing the planned changes into CVAT: sending them, recognising what arrived, and taking a run back."""
