"""The compiled products (float32) against torch in float64, for sizes that fill no vector, tile or block."""

import pytest
import torch

from slembench.nn.kernels import native
from slembench.nn.kernels.matmul import matmul, matmul_t, raw_matmul, raw_matmul_t

compiled = pytest.mark.skipif(native.library() is None, reason="no C compiler on this machine")
SIZES = [(1, 1, 1), (2, 3, 5), (13, 16, 16), (14, 7, 33), (113, 32, 31), (200, 1, 48), (400, 65, 17), (29, 40, 100)]


@pytest.fixture(autouse=True)
def small_products_too(monkeypatch):
    monkeypatch.setattr("slembench.nn.kernels.matmul.LEAST", 0)


def single(*shape):
    return torch.randn(*shape, dtype=torch.float32)


def close(found, wanted, inner):
    """Within what sums of ``inner`` products of numbers around 1 lose in float32."""
    return found.shape == wanted.shape and bool(((found.double() - wanted).abs() <= 2e-6 * inner**0.5).all())


@pytest.fixture(params=[1, 3])
def threads(request, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: request.param)


@compiled
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("rows", "inner", "columns"), SIZES)
@pytest.mark.parametrize("batch", [(), (1,), (5,)])
def test_products(rows, inner, columns, batch):
    a, b, c = single(*batch, rows, inner), single(*batch, inner, columns), single(*batch, rows, columns)
    wanted = a.double() @ b.double()
    assert close(raw_matmul(a, b), wanted, inner)
    assert close(raw_matmul(a, b.mT.contiguous().mT), wanted, inner)
    assert close(raw_matmul(a, b, c.clone()), wanted + c.double(), inner)
    assert close(raw_matmul_t(a, c), a.double().mT @ c.double(), rows)
    assert close(raw_matmul_t(c, a), c.double().mT @ a.double(), rows)


@compiled
@pytest.mark.usefixtures("threads")
def test_slices_and_columns_in_a_wider_tensor():
    wide, b, target = single(3, 50, 40), single(60, 70), single(50, 90)
    a, inner = wide[1, :, 5:28], b[7:30, 11:48]
    before = target.clone()
    assert raw_matmul(a, inner, target[:, 20:57]) is not None
    assert close(target[:, 20:57], before[:, 20:57].double() + a.double() @ inner.double(), 23)
    assert torch.equal(target[:, :20], before[:, :20])
    assert torch.equal(target[:, 57:], before[:, 57:])
    assert close(raw_matmul_t(wide[:, :, 3:9], wide[:, :, 20:]), (wide[:, :, 3:9].mT @ wide[:, :, 20:]).double(), 50)
    assert close(raw_matmul(wide[0].T, single(50, 2) * 0), torch.zeros(40, 2, dtype=torch.float64), 1)


@compiled
@pytest.mark.usefixtures("threads")
def test_nothing_to_multiply():
    assert raw_matmul(single(0, 4), single(4, 3)).shape == (0, 3)
    assert raw_matmul(single(4, 3), single(3, 0)).shape == (4, 0)
    assert not raw_matmul(single(20, 0), single(0, 30)).any()
    assert not raw_matmul_t(single(0, 20), single(0, 30)).any()
    assert not raw_matmul_t(single(2, 0, 20), single(2, 0, 30)).any()
    assert raw_matmul(single(0, 5, 4), single(0, 4, 3)).shape == (0, 5, 3)


@compiled
def test_a_row_has_the_same_bits_among_any_others():
    a, b = single(301, 50), single(50, 41)
    whole = raw_matmul(a, b)
    for start, end in ((0, 1), (5, 118), (300, 301)):
        assert torch.equal(raw_matmul(a[start:end], b), whole[start:end])


@compiled
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("shapes", [((9, 6), (6, 4)), ((9, 2, 6), (6, 4)), ((3, 9, 6), (3, 6, 4))])
def test_gradients(shapes):
    a, b = (single(*shape).requires_grad_() for shape in shapes)
    c, d = a.detach().double().requires_grad_(), b.detach().double().requires_grad_()
    found, wanted = matmul(a, b), c @ d
    slope = torch.randn_like(wanted)
    assert close(found, wanted, 6)
    for x, y in zip(torch.autograd.grad(found, (a, b), slope.float()), torch.autograd.grad(wanted, (c, d), slope)):
        assert close(x, y, 18)


@compiled
def test_gradients_of_sums_over_rows():
    x, y = single(3, 20, 6).requires_grad_(), single(3, 20, 4).requires_grad_()
    c, d = x.detach().double().requires_grad_(), y.detach().double().requires_grad_()
    found, wanted = matmul_t(x, y), c.mT @ d
    slope = torch.randn_like(wanted)
    assert close(found, wanted, 20)
    for a, b in zip(torch.autograd.grad(found, (x, y), slope.float()), torch.autograd.grad(wanted, (c, d), slope)):
        assert close(a, b, 6)


@pytest.mark.parametrize(
    ("a", "b"),
    [(single(4, 3), single(4, 3)), (single(4, 3), single(3, 2).double()), (single(2, 4, 3), single(3, 3, 2))],
)
def test_what_does_not_fit_together_is_refused(a, b):
    with pytest.raises(RuntimeError):
        matmul(a, b)


@pytest.mark.parametrize("batch", [(), (2,)])
def test_torch_has_the_other_types(batch):
    a, b, c = torch.randn(*batch, 5, 4), torch.randn(*batch, 4, 3), torch.randn(*batch, 5, 3)
    assert torch.allclose(matmul(a, b), a @ b)
    assert torch.allclose(raw_matmul(a, b, c.clone()), c + a @ b)
    assert torch.allclose(matmul_t(a, c), a.mT @ c)
    assert torch.allclose(raw_matmul_t(a, c), a.mT @ c)
