"""What files say of themselves before a pixel is decoded, and the bounds on it.

Nothing here needs OpenCV: commands over CVAT, which are a small install, hold the pictures that they show to the same.
"""
