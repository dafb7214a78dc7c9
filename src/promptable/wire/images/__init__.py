"""The picture of a request: its original bytes, and their pixels as uint8 RGB. docs/images.md says what is read.

A module per kind of file reads the header within stated bounds, by itself, and has Pillow's C decoders, called on their
own, turn the data into pixels. Pillow's Python classes are for the kinds whose headers are read in C.
"""

from promptable.wire.images.encoded import EncodedImage as EncodedImage
from promptable.wire.images.encoded import parse_image as parse_image
