"""The images, and the checkpoints and model folders that go into them."""
