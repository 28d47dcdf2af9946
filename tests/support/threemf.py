"""3MF files made by hand."""

from __future__ import annotations

import io
import zipfile

from support.solids import Solid

CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
PRODUCTION = "http://schemas.microsoft.com/3dmanufacturing/production/2015/06"
LATTICE = "http://schemas.microsoft.com/3dmanufacturing/beamlattice/2017/02"
START = "3D/3dmodel.model"


def mesh(made: Solid) -> str:
    """The XML of a mesh, with polygons as fans."""
    rows = "".join(f'<vertex x="{x:g}" y="{y:g}" z="{z:g}"/>' for x, y, z in made.vertices.tolist())
    corners = "".join(f'<triangle v1="{a}" v2="{b}" v3="{c}" pid="1"/>' for a, b, c in made.triangles())
    return f"<mesh><vertices>{rows}</vertices><triangles>{corners}</triangles></mesh>"


def obj(number: int, inside: str, attributes: str = "") -> str:
    """An object: a mesh, or components."""
    return f'<object id="{number}" {attributes}>{inside}</object>'


def item(number: int, attributes: str = "") -> str:
    """An object of the build."""
    return f'<item objectid="{number}" {attributes}/>'


def components(*parts: str) -> str:
    """Other objects as one, by the attributes of each."""
    return "<components>" + "".join(f"<component {part}/>" for part in parts) + "</components>"


def model(resources: str, build: str, attributes: str = "", head: str = '<?xml version="1.0"?>') -> str:
    """A model file."""
    names = f'xmlns="{CORE}" xmlns:p="{PRODUCTION}" xmlns:b="{LATTICE}"'
    inside = f"<resources>{resources}</resources><build>{build}</build>"
    return f"{head}<model unit='inch' {names} {attributes}>{inside}</model>"


def archive(
    first: str | bytes,
    others: dict[str, str | bytes] | None = None,
    start: str = START,
    target: str | None = None,
    **options: int,
) -> bytes:
    """The zip archive of a model file and others, by their names; `target` is how the first is named."""
    made = io.BytesIO()
    kind = "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"
    relations = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Target="/Metadata/thumbnail.png" Id="a" Type="http://example.org/thumbnail"/>'
        f'<Relationship Target="{target or f"/{start}"}" Id="b" Type="{kind}"/></Relationships>'
    )
    with zipfile.ZipFile(made, "w", options.get("compression", zipfile.ZIP_DEFLATED)) as package:
        package.writestr("[Content_Types].xml", "<Types/>")
        package.writestr("_rels/.rels", relations)
        package.writestr(start, first)
        for name, text in (others or {}).items():
            package.writestr(name, text)
    return made.getvalue()


def archive_of(made: Solid) -> bytes:
    """A file of one solid."""
    return archive(model(obj(1, mesh(made)), item(1)))
