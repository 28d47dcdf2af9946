"""``meshcodec report``: decoded meshes against their originals, as a table and as one page."""
