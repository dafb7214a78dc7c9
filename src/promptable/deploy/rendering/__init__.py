"""What is deployed: the function.yaml of one function for one target, and what Nuclio reports of it."""
