"""Layers, encoder, decoder and field head: shapes alone would not tell a swapped axis."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from support.tiny import TINY
from torch import Tensor

from meshcodec.config import EXTENT, PLANES, TRUNCATION
from meshcodec.model.decoder import FieldHead, to_distance
from meshcodec.model.encoder import PLANE_AXES, PointEncoder, pool
from meshcodec.model.layers import Block, PlaneLookup, SlabBlock, fourier_features, patchify, unpatchify
from meshcodec.model.vat import VariationalTokenizer


def surface(count: int, batch: int = 1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Points of the unit sphere, which are their own normals."""
    made = torch.Generator().manual_seed(seed)
    normals = F.normalize(torch.randn(batch, count, 3, generator=made), dim=-1)
    return normals.clone(), normals


# ---- layers


def test_fourier_features_are_sines_and_cosines_of_octaves() -> None:
    x = torch.tensor([[0.25, -0.5, 0.125]])
    features = fourier_features(x, 2)[0]
    expected = [
        *x[0].tolist(),
        *(math.sin(math.pi * 2**k * c) for c in x[0].tolist() for k in range(2)),
        *(math.cos(math.pi * 2**k * c) for c in x[0].tolist() for k in range(2)),
    ]
    np.testing.assert_allclose(features.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_unpatchify_undoes_patchify(patch: int) -> None:
    cells = torch.arange(2.0 * 3 * 8 * 8 * 5).view(2, 3, 8, 8, 5)
    tokens = patchify(cells, patch)
    assert tokens.shape == (2, 3 * (8 // patch) ** 2, patch * patch * 5)
    assert torch.equal(unpatchify(tokens, 8, patch), cells)


def test_a_patch_is_a_square_of_neighbours() -> None:
    cells = torch.arange(3.0 * 4 * 4).view(1, 3, 4, 4, 1)
    tokens = patchify(cells, 2)
    # Plane 1, second row and first column of patches: token 4 + 2.
    assert torch.equal(tokens[0, 6], cells[0, 1, 2:4, 0:2, 0].flatten())


def test_attention_of_a_block_reaches_every_token() -> None:
    qkv = torch.randn(1, 12, 3 * 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    Block(32, 4, 2).attend(qkv)[0, 5].sum().backward()
    assert qkv.grad is not None
    assert (qkv.grad[0].abs().amax(-1) > 0).all()


@pytest.mark.parametrize(
    ("plane", "row", "column", "lines"),
    [
        # Lines are (plane, axis, index): axis 0 a row, axis 1 a column.
        (0, 1, 2, [(0, 0, 1), (0, 1, 2), (1, 0, 2), (2, 1, 1)]),  # x = 1, y = 2
        (1, 3, 0, [(1, 0, 3), (1, 1, 0), (2, 0, 0), (0, 1, 3)]),  # y = 3, z = 0
        (2, 2, 4, [(2, 0, 2), (2, 1, 4), (0, 0, 4), (1, 1, 2)]),  # z = 2, x = 4
    ],
)
def test_a_slab_block_sees_the_cells_that_share_a_coordinate(
    plane: int, row: int, column: int, lines: list[tuple[int, int, int]]
) -> None:
    side = 5
    made = torch.Generator().manual_seed(0)
    qkv = torch.randn(1, 3 * side * side, 3 * 32, generator=made).requires_grad_()
    out = SlabBlock(32, 4, 2).attend(qkv)
    assert out.shape == (1, 3 * side * side, 32)
    out.view(3, side, side, 32)[plane, row, column].sum().backward()
    assert qkv.grad is not None
    seen = qkv.grad.view(3, side, side, -1).abs().amax(-1) > 0
    expected = torch.zeros(3, side, side, dtype=torch.bool)
    for other, axis, index in lines:
        expected[other].select(axis, index)[:] = True
    assert torch.equal(seen, expected)


def test_slabs_are_attention_over_their_cells() -> None:
    """One cell by hand: the first half of its heads along the slab of its x, the others along that of its y.

    The cells of other planes meet it with their other half of heads.
    """
    side, heads, width = 3, 4, 16
    qkv = torch.randn(1, 3 * side * side, 3 * width, generator=torch.Generator().manual_seed(0))
    out = SlabBlock(width, heads, 2).attend(qkv).view(3, side, side, heads, -1)[0, 1, 2]
    q, k, v = qkv.view(1, 3, side, side, 3, heads, -1).unbind(4)
    for head in range(heads):
        other = (head + heads // 2) % heads
        if head < heads // 2:  # x = 1: a row of the xy plane, a column of the zx plane
            slab = [(0, 1, j, head) for j in range(side)] + [(2, i, 1, other) for i in range(side)]
        else:  # y = 2: a column of the xy plane, a row of the yz plane
            slab = [(0, i, 2, head) for i in range(side)] + [(1, 2, j, other) for j in range(side)]
        keys, values = (torch.stack([t[cell] for cell in slab]) for t in (k[0], v[0]))
        weights = (keys @ q[0, 0, 1, 2, head] / math.sqrt(width // heads)).softmax(0)
        torch.testing.assert_close(out[head], weights @ values, atol=1e-5, rtol=1e-4)


# ---- encoder


@pytest.mark.parametrize("count", [0, 1, 500])
def test_a_plane_lookup_is_grid_sample(count: int) -> None:
    """The same values and the same gradients, beyond the border, too."""
    made = torch.Generator().manual_seed(count)
    positions = torch.rand(3, count, 2, generator=made) * 2.4 - 1.2
    planes = torch.randn(3, 5, 7, 9, generator=made).requires_grad_()
    weights = torch.randn(3, count, 5, generator=made)
    found: Tensor = PlaneLookup.apply(planes, positions)  # type: ignore[no-untyped-call]
    assert found.shape == (3, count, 5)
    (found * weights).sum().backward()
    own, planes.grad = planes.grad, None
    wanted = F.grid_sample(planes, positions[:, :, None], padding_mode="border", align_corners=False)
    wanted = wanted.squeeze(-1).transpose(1, 2)
    (wanted * weights).sum().backward()
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(own, planes.grad)


def test_pool_is_mean_and_maximum_by_bin() -> None:
    made = torch.Generator().manual_seed(0)
    values = torch.randn(40, 6, generator=made)
    index = torch.tensor([0, 2, 3, 6])[torch.randint(4, (40,), generator=made)]  # 1, 4, 5 and 7 are empty
    pooled, count = pool(values, index, 8)
    expected = np.zeros((8, 9), dtype=np.float32)
    for number in range(8):
        rows = values.numpy()[index.numpy() == number]
        assert count[number] == len(rows)
        if len(rows):
            expected[number] = np.concatenate([rows.mean(0), rows[:, :3].max(0)])
    np.testing.assert_allclose(pooled.numpy(), expected, atol=1e-6)


def test_the_maximum_of_negative_values_is_negative() -> None:
    pooled, _ = pool(torch.tensor([[-3.0, -1.0], [-2.0, -5.0]]), torch.tensor([1, 1]), 3)
    assert pooled.tolist() == [[0, 0, 0], [-2.5, -3, -2], [0, 0, 0]]


@pytest.mark.parametrize("count", [1, 2, TINY.groups - 1, TINY.groups, 300])
def test_the_encoder_takes_any_number_of_points(count: int) -> None:
    torch.manual_seed(0)
    encoder = PointEncoder(TINY).eval()
    points, normals = surface(count, batch=2)
    with torch.no_grad():
        first, second = encoder(points, normals), encoder(points, normals)
    side, channels = TINY.latent_side, TINY.latent_channels
    for one, other in zip(first, second, strict=True):
        assert one.shape == (2, 3, side, side, channels)
        assert one.isfinite().all()
        assert torch.equal(one, other)


def test_meshes_of_a_batch_do_not_mix() -> None:
    torch.manual_seed(0)
    encoder = PointEncoder(TINY).eval()
    points, normals = surface(100, batch=3)
    with torch.no_grad():
        together, _ = encoder(points, normals)
        alone, _ = encoder(points[1:2], normals[1:2])
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-3)


def test_points_fall_into_the_cells_of_their_coordinates() -> None:
    encoder = PointEncoder(TINY)
    side = TINY.latent_side
    point = torch.tensor([-0.9, 0.1, 0.7])
    channels = TINY.point_channels
    with torch.no_grad():
        cells = encoder.pool_cells(point.view(1, 1, 3), torch.ones(1, 1, channels))
    count = cells[0, ..., channels + channels // 2]  # its log, behind mean and maximum
    where = ((point + EXTENT) / (2 * EXTENT) * side).long().tolist()
    expected = [[plane, where[a], where[b]] for plane, (a, b) in enumerate(PLANE_AXES)]
    assert count.nonzero().tolist() == expected
    assert count.max() == pytest.approx(math.log(2))
    assert (cells[0].abs().amax(-1) > 0).equal(count > 0)


def test_cells_know_how_far_their_points_reach() -> None:
    """The largest coordinate across the plane and the largest of its negative, below zero or not."""
    encoder, channels = PointEncoder(TINY), TINY.point_channels
    points = torch.tensor([[0.1, 0.1, -0.7], [0.11, 0.11, -0.2], [0.12, 0.12, -0.5]])
    with torch.no_grad():
        cells = encoder.pool_cells(points[None], torch.ones(1, 3, channels))
    reach = cells[0, 0, ..., -2:]  # of the xy plane, whose points lie in one cell
    assert reach.abs().amax(-1).count_nonzero() == 1
    assert reach.flatten(0, 1)[reach.abs().amax(-1).argmax()].tolist() == pytest.approx([-0.2, 0.7])
    one = torch.tensor([0.1, -0.4, 0.8])
    with torch.no_grad():
        cells = encoder.pool_cells(one.view(1, 1, 3), torch.ones(1, 1, channels))
    lacking = [3 - a - b for a, b in PLANE_AXES]
    assert cells[0, ..., -2].sum((1, 2)).tolist() == pytest.approx(one[lacking].tolist())


# ---- field head and decoder


@pytest.mark.parametrize("plane", range(PLANES))
def test_a_texel_is_found_at_its_centre(plane: int) -> None:
    side, channels = TINY.plane_side, TINY.plane_channels[-1]
    row, column = 5, 20
    planes = torch.zeros(1, PLANES, channels, side, side)
    planes[0, plane, :, row, column] = torch.arange(1.0, channels + 1)
    # Two points at the texel, whatever their third coordinate, and one with rows and columns swapped.
    queries = torch.full((3, 3), 0.3)
    first, second = PLANE_AXES[plane]
    queries[:2, first], queries[:2, second] = ((2 * k + 1) / side * EXTENT - EXTENT for k in (row, column))
    queries[2, first], queries[2, second] = queries[0, second], queries[0, first]
    queries[1, 3 - first - second] = -0.8

    head, given = FieldHead(TINY), []
    head.mlp.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    head(planes, queries[None])
    looked_up = given[0][0, :, : PLANES * channels].view(3, PLANES, channels)
    expected = torch.zeros(3, PLANES, channels)
    expected[:2, plane] = torch.arange(1.0, channels + 1)
    torch.testing.assert_close(looked_up.detach(), expected, atol=1e-3, rtol=0)


def test_distances_are_truncated_and_true_near_the_surface() -> None:
    logits = torch.tensor([-50.0, -0.01, 0.0, 0.01, 50.0])
    units = [distance / TRUNCATION for distance in to_distance(logits).tolist()]
    assert units == pytest.approx([-1, -0.01, 0, 0.01, 1], rel=1e-3)


@pytest.mark.slow
def test_the_model_takes_every_prefix_and_is_deterministic() -> None:
    torch.manual_seed(0)
    model = VariationalTokenizer(TINY).eval().requires_grad_(False)
    points, normals = surface(200, batch=2)
    tokens = model.tokenize(points, normals)
    assert tokens.dtype == torch.uint8
    assert tokens.shape == (2, TINY.max_tokens)
    assert torch.equal(tokens, model.tokenize(points, normals))
    queries = 2 * EXTENT * torch.rand(2, 50, 3) - EXTENT
    side, channels = TINY.plane_side, TINY.plane_channels[-1]
    for length in (1, 2, TINY.max_tokens - 1, TINY.max_tokens):
        planes = model.planes(tokens[:, :length])
        assert planes.shape == (2, PLANES, channels, side, side)
        logits = model.field(planes, queries)
        assert logits.shape == (2, 50)
        assert logits.isfinite().all()
