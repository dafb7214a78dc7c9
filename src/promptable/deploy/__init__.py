"""What deploy.sh leaves to Python: the rendered function.yaml, the weights of an image, one real request.

Only PyYAML and the standard library, except in ``weights``, which runs inside the image: the rest runs on the machine
of the administrator, who has no PyTorch.
"""
