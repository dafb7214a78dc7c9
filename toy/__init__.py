"""What demo, benchmarks and tests play with: small checkpoints of the real model classes, the generated scenes that they
were trained on, a stand-in for CVAT, and a Redis."""
