"""``meshcodec bench``: size against quality over a folder of meshes, beside other codecs."""
