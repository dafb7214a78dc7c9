"""The picture of a request: the bytes of its file, decoded to uint8 RGB. docs/images.md lists the kinds that are read.

There is one module for each kind of file. The module reads the header itself, within stated bounds, and calls Pillow's
C decoders directly to turn the data into pixels. Pillow's Python classes are used only for kinds whose header is read
in C. ``encoded`` is what the functions use.
"""
