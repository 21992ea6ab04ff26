"""Sizes of files, tables and disks, as every part of the program writes them."""

from __future__ import annotations

import humanize


def byte_size(number: int) -> str:
    """The number of bytes in decimal units: 812 B, 8.2 kB, 1.2 MB."""
    return humanize.naturalsize(number).replace(" Bytes", " B").replace(" Byte", " B")
