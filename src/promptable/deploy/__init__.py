"""``promptable deploy``, which is deploy.sh: checks, images, function.yaml, rollout, two real requests, the way back.

It needs requirements/deploy.txt alone (pydantic, PyYAML, rich), and no PyTorch, except in ``image.weights``, which runs
inside the image while that is built.
"""
