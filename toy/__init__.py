"""Small checkpoints of the real model classes, and the generated scenes that they were trained on."""
