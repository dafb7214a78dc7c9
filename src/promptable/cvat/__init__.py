"""What goes over a CVAT server's own API, through cvat-sdk (the extra ``cvat``)."""
