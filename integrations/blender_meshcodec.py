"""Blender add-on: File > Import and File > Export of ``.vat`` files, through the Python API of meshcodec.

Install meshcodec into Blender's own Python first (``blender --background --python-expr "import sys;
print(sys.executable)"`` tells which one it is; then ``THAT -m pip install meshcodec``), then this file under
Edit > Preferences > Add-ons > Install. Blender 4.2 or later.
"""

import functools
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy_extras.io_utils import ExportHelper, ImportHelper

bl_info = {
    "name": "meshcodec .vat files",
    "author": "the authors of meshcodec",
    "version": (0, 2, 0),
    "blender": (4, 2, 0),
    "location": "File > Import, File > Export",
    "description": "Meshes in files of 512 bytes to 4 KB",
    "category": "Import-Export",
}
_SURFACES = {"MESH", "CURVE", "SURFACE", "META", "FONT"}  # types of objects that have triangles


@functools.cache
def shared_codec() -> Any:
    """The codec, whose weights stay loaded between two uses."""
    from meshcodec.api import Codec

    return Codec()


class ImportVat(bpy.types.Operator, ImportHelper):  # type: ignore[misc]
    """Decode a .vat file to a mesh object at the original's place."""

    bl_idname = "import_mesh.vat"
    bl_label = "Import VAT"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender wants a set
    filename_ext = ".vat"
    filter_glob: bpy.props.StringProperty(default="*.vat", options={"HIDDEN"})  # type: ignore[valid-type]
    resolution: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Resolution", description="Cells a side of the decoded grid", default=128, min=16, max=512
    )

    def execute(self, context: Any) -> set[str]:
        """Called by Blender with the chosen file in `filepath`."""
        from meshcodec.errors import MeshcodecError

        path = Path(self.filepath)
        try:
            decoded = shared_codec().decode(path.read_bytes(), self.resolution)
        except (MeshcodecError, OSError) as error:
            self.report({"ERROR"}, f"{path.name}: {error}")
            return {"CANCELLED"}
        mesh = bpy.data.meshes.new(path.stem)
        mesh.from_pydata(decoded.vertices, [], decoded.faces)
        mesh.update()
        made = bpy.data.objects.new(path.stem, mesh)
        context.collection.objects.link(made)
        context.view_layer.objects.active = made
        return {"FINISHED"}


class ExportVat(bpy.types.Operator, ExportHelper):  # type: ignore[misc]
    """Encode the selected objects, or all where none is selected, as one shape into a .vat file."""

    bl_idname = "export_mesh.vat"
    bl_label = "Export VAT"
    filename_ext = ".vat"
    filter_glob: bpy.props.StringProperty(default="*.vat", options={"HIDDEN"})  # type: ignore[valid-type]
    size: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Bytes", description="Largest size of the file", default=1024, min=64, max=4096
    )
    effort: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Effort", description="Refinement for this shape; 4 takes half a minute", default=0, min=0, max=9
    )

    def execute(self, context: Any) -> set[str]:
        """Called by Blender with the chosen file in `filepath`."""
        import trimesh

        from meshcodec.errors import MeshcodecError

        path = Path(self.filepath)
        objects = context.selected_objects or list(context.scene.objects)
        parts = [_triangles(thing, context) for thing in objects if thing.type in _SURFACES]
        try:
            if not parts:
                raise ValueError("there is no mesh; select one")
            mesh = trimesh.util.concatenate(parts)
            path.write_bytes(shared_codec().encode(mesh, self.size, self.effort))
        except (MeshcodecError, OSError, ValueError) as error:
            self.report({"ERROR"}, f"{path.name}: {error}")
            return {"CANCELLED"}
        return {"FINISHED"}


def _triangles(thing: Any, context: Any) -> Any:
    """An object with its modifiers, in world coordinates, as a trimesh."""
    import trimesh

    evaluated = thing.evaluated_get(context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    mesh.calc_loop_triangles()
    vertices = np.empty((len(mesh.vertices), 3), dtype=np.float32)
    faces = np.empty((len(mesh.loop_triangles), 3), dtype=np.int32)
    mesh.vertices.foreach_get("co", vertices.reshape(-1))
    mesh.loop_triangles.foreach_get("vertices", faces.reshape(-1))
    evaluated.to_mesh_clear()
    made = trimesh.Trimesh(vertices, faces, process=False)
    made.apply_transform(np.array(thing.matrix_world))
    return made


def _import_entry(self: Any, context: Any) -> None:
    self.layout.operator(ImportVat.bl_idname, text="meshcodec (.vat)")


def _export_entry(self: Any, context: Any) -> None:
    self.layout.operator(ExportVat.bl_idname, text="meshcodec (.vat)")


def register() -> None:
    """Called by Blender when the add-on is switched on."""
    for kind in (ImportVat, ExportVat):
        bpy.utils.register_class(kind)
    bpy.types.TOPBAR_MT_file_import.append(_import_entry)
    bpy.types.TOPBAR_MT_file_export.append(_export_entry)


def unregister() -> None:
    """Called by Blender when the add-on is switched off."""
    bpy.types.TOPBAR_MT_file_import.remove(_import_entry)
    bpy.types.TOPBAR_MT_file_export.remove(_export_entry)
    for kind in (ImportVat, ExportVat):
        bpy.utils.unregister_class(kind)
