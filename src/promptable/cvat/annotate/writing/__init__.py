"""Writing a run's detections into CVAT: uploading them, finding them again, and taking them back."""
