"""3MF files: what the build places, where the models lie, and what a stranger's archive may cost."""

from __future__ import annotations

import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from numpy.typing import NDArray
from support.solids import BOX, L, area_and_volume, prism
from support.threemf import START, archive, components, item, mesh, model, obj

from meshcodec.errors import BadMeshError
from meshcodec.geometry.readers.threemf import read_3mf

MANY = 100_000
BLOCK, BRACKET = prism(BOX, 3), prism(L, 2)


def truth_of(data: bytes) -> tuple[float, float]:
    return area_and_volume(*read_3mf(data, MANY))


def bounds(data: bytes) -> NDArray[np.float64]:
    vertices, faces = read_3mf(data, MANY)
    used = vertices[faces].reshape(-1, 3)
    return np.array([used.min(axis=0), used.max(axis=0)])


# ---- what is read


@pytest.mark.parametrize("kind", ["", 'type="model"', 'type="surface"'])
@pytest.mark.parametrize("head", ['<?xml version="1.0" encoding="UTF-8"?>\n', "", "\ufeff"])
def test_an_object_of_the_build(kind: str, head: str) -> None:
    """Coordinates are those of the file, whatever its unit."""
    data = archive(model(obj(1, mesh(BLOCK), kind), item(1), head=head))
    vertices, faces = read_3mf(data, MANY)
    np.testing.assert_array_equal(vertices, BLOCK.vertices)
    np.testing.assert_array_equal(faces, BLOCK.triangles())


@pytest.mark.parametrize("start", [START, "3D/3DModel.model", "other/place/A.MODEL"])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_model_lies_where_the_relations_say(start: str, compression: int) -> None:
    data = archive(model(obj(1, mesh(BLOCK)), item(1)), start=start, compression=compression)
    assert truth_of(data) == pytest.approx((22, 6))


@pytest.mark.parametrize(
    ("start", "target"),
    [
        ("3D/My Part.model", "/3D/My%20Part.model"),
        ("3D/My%20Part.model", "/3D/My Part.model"),
        ("3D/My%20Part.model", "/3D/My%20Part.model"),
        ("3D/caf\u00e9.model", "/3D/caf%C3%A9.model"),
        (START, "./3D/3dmodel.model"),
        (START, "/x/../3D/3dmodel.model"),
        (START, "../3D//./3dmodel.model"),
        ("./3D/3dmodel.model", "3D\\3dmodel.model"),
    ],
)
def test_names_of_models_are_parts_of_uris(start: str, target: str) -> None:
    assert truth_of(
        archive(model(obj(1, mesh(BLOCK)), item(1)), start=start, target=target)
    ) == pytest.approx((22, 6))
    others: dict[str, str | bytes] = {start: model(obj(1, mesh(BRACKET)), "")}
    path = f'p:path="{target}"'
    data = archive(model("", item(1, path), 'requiredextensions="p"'), others, "other.model")
    assert truth_of(data) == pytest.approx((40, 12))


def test_only_what_the_build_names() -> None:
    data = archive(model(obj(1, mesh(BLOCK)) + obj(2, mesh(BRACKET)), item(2)))
    assert truth_of(data) == pytest.approx((40, 12))


def test_items_and_components_with_transforms() -> None:
    """Row by row, for positions as rows: the inner transform comes first."""
    turn = "0 1 0 -1 0 0 0 0 1 0 0 0"  # x to y, y to -x
    parts = components('objectid="1"', 'objectid="1" transform="1 0 0 0 1 0 0 0 1 10 0 0"')
    data = archive(model(obj(1, mesh(BLOCK)) + obj(2, parts), item(2, f'transform="{turn}"') + item(1)))
    assert truth_of(data) == pytest.approx((66, 18))
    np.testing.assert_allclose(bounds(data), [[-1, 0, 0], [2, 12, 3]])
    scaled = archive(model(obj(1, mesh(BLOCK)), item(1, 'transform="2 0 0 0 3 0 0 0 4 5 6 7"')))
    np.testing.assert_allclose(bounds(scaled), [[5, 6, 7], [9, 9, 19]])


def test_a_mirrored_mesh_stays_outside_out() -> None:
    mirror = 'transform="-1 0 0 0 1 0 0 0 1 0 0 0"'
    assert truth_of(archive(model(obj(1, mesh(BLOCK)), item(1, mirror)))) == pytest.approx((22, 6))
    twice = model(
        obj(1, mesh(BLOCK)) + obj(2, components(f'objectid="1" {mirror}')), item(2, mirror) + item(1, mirror)
    )
    assert truth_of(archive(twice)) == pytest.approx((44, 12))


def test_objects_in_other_models_of_the_archive() -> None:
    """As slicers write them: the first model has the build, and a file for each object."""
    inner = obj(1, mesh(BLOCK)) + obj(2, components('objectid="1" transform="1 0 0 0 1 0 0 0 1 0 9 0"'))
    others: dict[str, str | bytes] = {"3D/Objects/Object_1.model": model(inner, item(1))}
    path = 'p:path="/3D/Objects/object_1.model"'
    data = archive(
        model(obj(1, components(f'objectid="2" {path}')), item(1), 'requiredextensions="p"'), others
    )
    np.testing.assert_allclose(bounds(data), [[0, 9, 0], [2, 10, 3]])
    direct = archive(model("", item(1, path), 'requiredextensions="p"'), others)
    np.testing.assert_allclose(bounds(direct), [[0, 0, 0], [2, 1, 3]])


@pytest.mark.parametrize("kind", ["support", "solidsupport", "other"])
def test_supports_are_no_part_of_the_shape(kind: str) -> None:
    support = obj(2, mesh(BRACKET), f'type="{kind}"')
    both = obj(
        3, components('objectid="1"', 'objectid="2"'), 'type="support"'
    )  # of components it says nothing
    data = archive(model(obj(1, mesh(BLOCK)) + support + both, item(3) + item(2)))
    assert truth_of(data) == pytest.approx((22, 6))
    with pytest.raises(BadMeshError, match="nothing that its build names is part of a shape"):
        read_3mf(archive(model(support, item(2))), MANY)


def test_other_name_spaces_are_passed_over() -> None:
    other = '<b:vertex x="9" y="9" z="9"/><b:triangle v1="0" v2="0" v3="7"/><metadata name="a">b</metadata>'
    inside = mesh(BLOCK).replace("</vertices>", f"{other}</vertices>")
    assert truth_of(archive(model(obj(1, inside), item(1)))) == pytest.approx((22, 6))


# ---- what is refused


CUBE = obj(1, mesh(BLOCK))
DOCTYPE = '<?xml version="1.0"?><!DOCTYPE model [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (model(CUBE, ""), "its build names no object"),
        (model("", ""), "its build names no object"),
        (model(CUBE, item(1), head=DOCTYPE), "its XML has a document type"),
        (
            model(CUBE, item(1), 'requiredextensions="p b"'),
            "an extension of 3MF that is not read .*beamlattice",
        ),
        (model(CUBE, item(1), 'requiredextensions="q"'), r"an extension of 3MF that is not read \(q\)"),
        (model(obj(1, mesh(BLOCK).replace('v1="3"', 'v1="8"')), item(1)), "vertices that it does not have"),
        (model(obj(1, mesh(BLOCK).replace('v1="3"', 'v1="-1"')), item(1)), "vertices that it does not have"),
        (model(obj(1, "<mesh/>"), item(1)), "is part of a shape"),
    ],
)
def test_what_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(BadMeshError, match=message) as caught:
        read_3mf(archive(text), MANY)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (model(CUBE, item(7)), "there is no object 7 in /3d/3dmodel.model"),
        (model(CUBE, item(1, 'p:path="/3D/b.model"')), "it holds no /3d/b.model"),
        (model(obj(1, ""), item(1)), "object 1 has neither a mesh nor components"),
        (model(obj(1, components('objectid="1"')), item(1)), "object 1 is a component of itself"),
        (
            model(obj(1, components('objectid="2"')) + obj(2, components('objectid="1"')), item(2)),
            "object 2 is a component of itself",
        ),
        (model(CUBE, item(1, 'transform="1 0 0"')), "line 1 of its XML"),
        (model(CUBE, item(1, 'transform="a b c d e f g h i j k l"')), "line 1 of its XML"),
        (model(CUBE.replace('x="2"', 'x="two"', 1), item(1)), "line 1 of its XML"),
        (model(CUBE.replace('x="2"', "", 1), item(1)), "line 1 of its XML"),
        (model(CUBE.replace('v1="1"', 'v1="99999999999999999999"', 1), item(1)), "line 1 of its XML"),
        (model(CUBE, '<item transform="1"/>'), "line 1 of its XML"),
        (model(CUBE, item(1))[:-9], "its XML: "),
        ("<html/>", "line 1 of its XML"),
        ("nothing", "its XML: "),
    ],
)
def test_what_is_no_model(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_3mf(archive(text), MANY)


def test_archives_that_are_none() -> None:
    whole = archive(model(CUBE, item(1)))
    for data in (b"nothing", whole[:-30], whole[: len(whole) // 2], b"PK\x03\x04" + bytes(100)):
        with pytest.raises(BadMeshError, match="its zip archive is damaged or cut short"):
            read_3mf(data, MANY)
    place = whole.index(b"3dmodel.model") + 40
    with pytest.raises((BadMeshError, ValueError)):
        read_3mf(whole[:place] + bytes(8) + whole[place + 8 :], MANY)
    with pytest.raises(BadMeshError, match="packed in a way that 3MF does not know"):
        read_3mf(archive(model(CUBE, item(1)), compression=zipfile.ZIP_LZMA), MANY)
    flagged = bytearray(archive(model(CUBE, item(1)), compression=zipfile.ZIP_STORED))
    for place in (at for at in range(len(flagged)) if flagged[at : at + 4] == b"PK\x01\x02"):
        flagged[place + 8] |= 1
    with pytest.raises(BadMeshError, match="it is encrypted"):
        read_3mf(bytes(flagged), MANY)


# ---- what a stranger's archive may cost


def test_a_zip_bomb_is_not_unpacked() -> None:
    spaces = archive(model(CUBE, item(1)).encode() + b" " * 10_000_000)
    assert len(spaces) < 20_000
    tracemalloc.start()
    try:
        with pytest.raises(BadMeshError, match="larger than 1000000 bytes"):
            read_3mf(spaces, MANY, 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert truth_of(spaces) == pytest.approx((22, 6))


def test_the_models_of_an_archive_share_the_limit() -> None:
    far = model(CUBE, "") + " " * 600_000
    others: dict[str, str | bytes] = {f"{name}.model": far for name in "abc"}
    build = "".join(item(1, f'p:path="/{name}.model"') for name in "abc" for _ in range(20))
    data = archive(model("", build), others)
    assert len(read_3mf(data, MANY, 2_000_000)[1]) == 60 * 12  # each is unpacked once
    with pytest.raises(BadMeshError, match="larger than 1500000 bytes"):
        read_3mf(data, MANY, 1_500_000)


def doubled(levels: int, inside: str) -> str:
    """Objects in which the one before stands twice: 2 to the power of `levels` of the first."""
    whole = obj(0, inside)
    for level in range(levels):
        whole += obj(level + 1, components(*[f'objectid="{level}"'] * 2))
    return model(whole, item(levels))


def test_instances_are_counted_before_they_are_copied() -> None:
    assert len(read_3mf(archive(doubled(3, mesh(BLOCK))), 96)[1]) == 96
    began = time.perf_counter()
    with pytest.raises(BadMeshError, match="more than 95 faces"):
        read_3mf(archive(doubled(3, mesh(BLOCK))), 95)
    with pytest.raises(BadMeshError, match="place meshes more than 262144 times"):
        read_3mf(archive(doubled(40, mesh(BLOCK))), MANY)
    with pytest.raises(BadMeshError, match="is part of a shape"):
        read_3mf(archive(doubled(40, "<mesh/>")), MANY)
    with pytest.raises(BadMeshError, match="nested more than 64 deep"):
        read_3mf(archive(doubled(70, "<mesh/>")), MANY)
    assert time.perf_counter() - began < 20


def test_vertices_of_instances_count() -> None:
    """One triangle of many vertices that it does not use is cheap, and one that uses all is counted."""
    loose = mesh(BLOCK).replace("</vertices>", '<vertex x="1" y="1" z="1"/>' * 1000 + "</vertices>")
    data = archive(doubled(10, loose))
    vertices, faces = read_3mf(data, 12 << 10)
    assert (len(vertices), len(faces)) == (8 << 10, 12 << 10)


def test_elements_nested_too_deep_are_refused() -> None:
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        read_3mf(archive(model("<a>" * 100_000, item(1))), MANY)
