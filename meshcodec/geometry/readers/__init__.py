"""Bytes of mesh files to vertices and triangles, a module for each format.

What the readers have in common:

- The file may be anyone's. A count in it is a claim: nothing is allocated for it before that many bytes are
  seen to be there, what goes beyond `max_faces` is refused at once, and the memory taken is a small multiple
  of the file's own size.
- They give (V, 3) float64 and (F, 3) int64. Faces of more than three corners are triangulated by
  `meshcodec.geometry.readers.polygons`. Whether triangles name vertices that there are is for the caller to
  check.
- They raise ValueError with a few words on what is wrong, or BadMeshError where there is more to say.
- Only geometry is read: colours, normals, texture coordinates, materials and names are passed over.
"""
