"""glTF 2.0 and GLB files to one mesh: what the default scene shows, at rest.

The specification is "glTF 2.0" of the Khronos Group; its sections are cited by name. Read are positions and
indices, node transforms, skins, morph targets and the extensions in `document.GEOMETRY_EXTENSIONS`; passed
over are materials, textures, cameras, lights and animations.
"""
