"""For demo, benchmarks and tests: small checkpoints of the real model classes, the generated scenes that these were
trained on, a stand-in for CVAT, and a Redis server."""
