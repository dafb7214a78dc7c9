"""Labels: entries of a labels.yaml, and the labels of a CVAT task by which detections are stored."""
