"""Which kind of picture file it is, by its first bytes. Known kinds that are not read have an error that names them."""

from collections.abc import Callable
from typing import NamedTuple

from promptable.wire.fields import expected
from promptable.wire.images.broken import unsupported
from promptable.wire.images.formats import avif, bmp, gif, jpeg, jpeg2000, netpbm, png, tiff, webp
from promptable.wire.images.picture import Picture


class Kind(NamedTuple):
    """A kind of file, and the reader of its header."""

    name: str
    read: Callable[[bytes], Picture]


_JPEG2000 = Kind("JPEG 2000", jpeg2000.read)
_TIFF = Kind("TIFF", tiff.read)
_GIF = Kind("GIF", gif.read)
_READ = {
    b"\xff\xd8\xff": Kind("JPEG", jpeg.read),
    b"\x89PNG\r\n\x1a\n": Kind("PNG", png.read),
    b"BM": Kind("BMP", bmp.read),
    b"GIF87a": _GIF,
    b"GIF89a": _GIF,
    b"II*\0": _TIFF,
    b"MM\0*": _TIFF,
    b"II+\0": _TIFF,
    b"MM\0+": _TIFF,
    b"\0\0\0\x0cjP  \r\n\x87\n": _JPEG2000,
    b"\xff\x4f\xff\x51": _JPEG2000,
    **{b"P%d" % number: Kind(f"P{name}M", netpbm.read) for number, name in enumerate("BGPBGP", 1)},
}
_WEBP = Kind("WebP", webp.read)
_AVIF = Kind("AVIF", avif.read)

_REFUSED = {
    b"8BPS": "a Photoshop file",
    b"%PDF": "a PDF",
    b"<svg": "an SVG",
    b"<?xml": "an XML file, such as an SVG",
    b"\0\0\1\0": "an icon (ICO)",
    b"\xff\x0a": "a JPEG XL",
    b"\0\0\0\x0cJXL ": "a JPEG XL",
    b"II\xbc": "a JPEG XR",
    b"v/1\x01": "an OpenEXR file",
    b"#?RADIANCE": "a Radiance HDR file",
    b"DDS ": "a DDS texture",
    b"P7": "a PAM",
    b"PF": "a PFM",
    b"Pf": "a PFM",
    b"SIMPLE": "a FITS file",
    b"\x0a\x05\x01": "a PCX",
}
_READ_KINDS = "a JPEG, PNG, BMP, GIF, PPM, TIFF, WebP, JPEG 2000 or AVIF file"
_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"mif1", b"msf1", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")


def kind_of(data: bytes) -> Kind:
    """The kind of a file by its first bytes. Raises BadRequestError for a kind that is not read."""
    for signature, kind in _READ.items():
        if data.startswith(signature):
            return kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _WEBP
    if data[4:8] == b"ftyp":
        return _avif(data)
    for signature, name in _REFUSED.items():
        if data.startswith(signature):
            raise unsupported(name)
    raise expected("image", _READ_KINDS, data)


def _avif(data: bytes) -> Kind:
    """Tell AVIF from other files in the same container by the brands in the file's header."""
    brands = [data[at : at + 4] for at in range(8, min(int.from_bytes(data[:4], "big"), 256), 4)]
    if any(brand in _AVIF_BRANDS for brand in brands):
        return _AVIF
    if brands and brands[0] in _HEIF_BRANDS:
        raise unsupported("a HEIC picture")
    raise expected("image", _READ_KINDS, data)
