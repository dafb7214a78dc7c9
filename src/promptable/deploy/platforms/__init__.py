"""Where Nuclio runs the functions: ``base`` says what a deployment needs of a platform, the rest are platforms."""
