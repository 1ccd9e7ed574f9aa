import math
import pickle

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.lenses import LENSES

from depthlm_plugin import Camera
from depthlm_plugin.errors import GeometryError
from depthlm_plugin.geometry.lens import LENS_MODELS, Lens

NO_CV2 = "OpenCV is the optional extra 'lens'"

every_lens = pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
FAR_RAYS = np.random.default_rng(0).uniform(-6, 6, (20_000, 2))
NEAR_RAYS = np.random.default_rng(1).uniform(-0.55, 0.55, (500, 2))


@st.composite
def lenses(draw):
    """Coefficients of every model, about as large as calibrations find them."""
    model = draw(st.sampled_from(list(LENS_MODELS)))
    if model != "opencv":
        k = [draw(st.floats(-0.06, 0.06)) for _ in range(4)]
        if model == "fisheye":
            return Lens(model, tuple(k))
        p, s = ([draw(st.floats(-0.01, 0.01)) for _ in range(2)] for _ in range(2))
        return Lens(model, (*k[:2], *p, *k[2:], *s))
    k = [draw(st.floats(-bound, bound)) for bound in (0.4, 0.2, 0.05)]
    p = [draw(st.floats(-0.005, 0.005)) for _ in range(2)]
    return Lens("opencv", (*k[:2], *p, *k[2:][: draw(st.integers(0, 1))]))


rays = st.tuples(st.floats(-1.2, 1.2), st.floats(-1.2, 1.2))


@given(lenses(), rays)
def test_undistort_inverts_distort(lens, ray):
    distorted, valid = lens.try_distort([ray])
    assume(valid[0])
    # Where the model turns, any inverse loses digits: look a little inside.
    assume(lens.try_distort([np.multiply(ray, 1.01)])[1][0])
    np.testing.assert_allclose(lens.undistort(distorted), [ray], rtol=0, atol=1e-7)


@given(lenses(), rays)
def test_distort_inverts_undistort_wherever_there_is_an_answer(lens, distorted):
    ray, valid = lens.try_undistort([distorted])
    assert np.isfinite(ray).all() == valid[0]
    if valid[0]:
        np.testing.assert_allclose(lens.distort(ray), [distorted], rtol=0, atol=1e-9)


@every_lens
def test_both_directions_hold_for_many_points_at_once(lens):
    distorted, valid = lens.try_distort(FAR_RAYS)
    inside = valid & lens.try_distort(FAR_RAYS * 1.01)[1]
    assert inside.sum() > 300
    np.testing.assert_allclose(lens.undistort(distorted[inside]), FAR_RAYS[inside], rtol=1e-7)


@every_lens
def test_a_whole_picture_at_once_is_its_parts(lens):
    points = np.concatenate([NEAR_RAYS] * 150)
    rays, valid = lens.try_undistort(points)
    assert rays.shape == (75_000, 2)
    one, one_valid = lens.try_undistort(NEAR_RAYS)
    np.testing.assert_array_equal(valid.reshape(150, -1), np.tile(one_valid, (150, 1)))
    np.testing.assert_allclose(rays.reshape(150, -1, 2), np.tile(one, (150, 1, 1)), atol=1e-12)


@every_lens
def test_what_no_valid_ray_falls_on_is_refused_not_answered(lens):
    """All distorted points: those that are answered are answered by a ray that is valid."""
    distorted = np.concatenate([FAR_RAYS / 2, FAR_RAYS * 10])
    found, valid = lens.try_undistort(distorted)
    assert 0 < valid.sum() < len(valid) or not np.isfinite(lens._limit)
    assert lens.try_distort(found[valid])[1].all()
    assert np.isnan(found[~valid]).all()


@pytest.mark.parametrize(
    ("lens", "inside", "turns_deg"),
    [
        (LENSES["folds, no tangential"], 0.999, math.degrees(math.atan(0.96**-0.5))),
        (LENSES["equidistant"], 0.99999, 90.0),
    ],
    ids=["opencv", "fisheye"],
)
def test_the_field_ends_where_the_model_turns_or_at_90_degrees(lens, inside, turns_deg):
    def ray(angle_deg):
        return [[math.tan(math.radians(angle_deg)), 0.0]]

    edge = lens.distort(ray(turns_deg * inside))
    assert math.degrees(math.atan(lens.undistort(edge)[0, 0])) == pytest.approx(turns_deg * inside)
    with pytest.raises(GeometryError, match=r"distorted point \(.*leave it out"):
        lens.undistort(edge * 1.01)
    if lens.model == "opencv":
        with pytest.raises(GeometryError, match=r"ray \(1.03, 0\).*leave it out"):
            lens.distort([[1.02, 0.0], [1.03, 0.0]])


def test_a_lens_that_turns_twice_answers_from_the_inner_branch_only():
    # d(r) = r - r^3 + 0.25 r^5 falls from r = 0.635 to 1.409 and rises to 1 again at r = 2.
    lens = Lens("opencv", (-1.0, 0.25, 0.0, 0.0))
    assert lens.undistort([[0.2, 0.0]])[0, 0] < 0.635
    assert not lens.try_undistort([[0.9, 0.0]])[1][0]
    assert not lens.try_distort([[2.3, 0.0]])[1][0]


@pytest.mark.parametrize("count", [4, 5])
def test_zero_distortion_is_exactly_none(count):
    lens = Lens("opencv", (0.0,) * count)
    np.testing.assert_array_equal(lens.distort(FAR_RAYS), FAR_RAYS)
    np.testing.assert_allclose(lens.undistort(FAR_RAYS), FAR_RAYS, rtol=1e-15)


@st.composite
def prism_coefficients(draw):
    bounds = (0.3, 0.3, 0.02, 0.02, 0.3, 0.5, 0.02, 0.02)
    return tuple(draw(st.floats(-bound, bound)) for bound in bounds)


@given(prism_coefficients(), rays)
def test_thin_prism_terms_are_those_that_eth3d_documents(coefficients, ray):
    k1, k2, p1, p2, k3, k4, sx1, sy1 = coefficients
    distorted, valid = Lens("thin_prism_fisheye", coefficients).try_distort([ray])
    assume(valid[0])
    x, y = ray
    theta = math.atan2(math.hypot(x, y), 1)
    turn = math.atan2(y, x)
    u, v = theta * math.cos(turn), theta * math.sin(turn)
    r2 = u**2 + v**2
    radial = k1 * r2 + k2 * r2**2 + k3 * r2**3 + k4 * r2**4
    du = u * radial + 2 * p1 * u * v + p2 * (r2 + 2 * u**2) + sx1 * r2
    dv = v * radial + 2 * p2 * u * v + p1 * (r2 + 2 * v**2) + sy1 * r2
    np.testing.assert_allclose(distorted, [(u + du, v + dv)], rtol=0, atol=1e-13)


@given(prism_coefficients(), rays)
def test_the_field_of_a_thin_prism_lens_ends_before_it_folds(coefficients, ray):
    """Where it answers, a step to any side goes to the same side: no neighbour is beyond a fold."""
    lens = Lens("thin_prism_fisheye", coefficients)
    assume(lens.try_distort([ray])[1][0])
    angle = math.atan(math.hypot(*ray))
    step = 1e-6 * np.array([[1, 0], [0, 1], [0.7, 0.7], [0.7, -0.7]])
    scale = angle / math.tan(angle) if angle else 1.0
    plane = scale * np.array(ray)

    def to_rays(points):
        angles = np.hypot(*points.T)
        return points * (np.tan(angles) / np.where(angles > 0, angles, 1))[:, None]

    there, back = (lens.try_distort(to_rays(plane + sign * step)) for sign in (1, -1))
    assume(there[1].all() and back[1].all())
    assert (((there[0] - back[0]) * step).sum(axis=1) > 0).all()


@given(lenses(), rays)
def test_the_jacobian_is_the_slope_of_the_polynomials(lens, point):
    at = np.array([point, point])
    step = 1e-6 * np.eye(2)
    forward, back = (
        lens._polynomials(at + sign * step, np.hypot(*(at + sign * step).T)) for sign in (1, -1)
    )
    xx, xy, yx, yy = (entry[0] for entry in lens._jacobian(at, np.hypot(*at.T)))
    slopes = (forward - back) / 2e-6
    np.testing.assert_allclose([[xx, yx], [xy, yy]], slopes, rtol=0, atol=1e-6)


@given(lenses(), rays)
def test_a_thin_prism_fisheye_without_its_last_terms_is_a_fisheye(lens, ray):
    k = lens.coefficients if lens.model == "fisheye" else (*lens.coefficients[:2], 0.01, -0.02)
    prism = Lens("thin_prism_fisheye", (*k[:2], 0, 0, *k[2:], 0, 0))
    for one, other in zip(
        (*prism.try_distort([ray]), *prism.try_undistort([ray])),
        (*Lens("fisheye", k).try_distort([ray]), *Lens("fisheye", k).try_undistort([ray])),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_the_equidistant_fisheye_by_hand():
    lens = LENSES["equidistant"]
    np.testing.assert_allclose(lens.distort([[1.0, 0.0], [0, 0]]), [[math.pi / 4, 0], [0, 0]])
    np.testing.assert_allclose(lens.undistort([[0, math.pi / 3]]), [[0, math.sqrt(3)]], atol=1e-12)


@every_lens
@pytest.mark.parametrize("point", [(math.nan, 0.1), (math.inf, 0.0), (1e300, 1e300), (1e9, 0)])
def test_no_number_of_a_point_crashes_or_is_answered_wrongly(lens, point):
    for found, valid in (lens.try_distort([point]), lens.try_undistort([point])):
        assert np.isfinite(found).all() == valid[0]


@every_lens
def test_a_lens_of_no_points(lens):
    assert lens.distort(np.empty((0, 2))).shape == (0, 2)
    assert lens.undistort(np.empty((0, 2))).shape == (0, 2)


def test_a_turn_that_is_farther_than_numbers_go_is_none():
    lens = Lens("opencv", (-2.225e-311, 0.0, 0.0, 0.0))
    np.testing.assert_allclose(lens.undistort(FAR_RAYS), FAR_RAYS, rtol=1e-15)


@pytest.mark.parametrize("value", [1e49, -1e49, 1e-320, -1e-320])
@pytest.mark.parametrize(
    ("model", "count"), [("opencv", 5), ("fisheye", 4), ("thin_prism_fisheye", 8)]
)
def test_absurd_coefficients_do_not_crash(model, count, value):
    for at in range(count):
        lens = Lens(model, tuple(value if at == other else 0.0 for other in range(count)))
        rays, valid = lens.try_undistort(FAR_RAYS[:50])
        np.testing.assert_allclose(lens.distort(rays[valid]), FAR_RAYS[:50][valid], atol=1e-9)


@pytest.mark.parametrize(
    ("model", "coefficients", "found"),
    [
        ("opencv", (0.1, 0.2, 0.3), r"expected the opencv .*k1, k2, p1, p2.*found 3 numbers"),
        ("opencv", (0.1,) * 8, "found 8 numbers; with another lens model, undistort"),
        ("fisheye", (0.1,) * 5, r"expected the fisheye .*k1, k2, k3, k4.*found 5 numbers"),
        ("thin_prism_fisheye", (0.1,) * 12, r"\[k1, k2, p1, p2, k3, k4, sx1, sy1\], found 12"),
        ("opencv", (0.1, math.nan, 0, 0), "expected finite opencv .*nan"),
        ("fisheye", (0.1, -math.inf, 0, 0), "expected finite fisheye .*inf"),
        ("opencv", (1e200, 0, 0, 0), "expected finite"),
        ("fish-eye", (0.1,) * 4, "unknown lens model 'fish-eye'; did you mean 'fisheye'"),
    ],
)
def test_impossible_lenses_are_refused_with_what_was_found(model, coefficients, found):
    with pytest.raises(GeometryError, match=found):
        Lens(model, coefficients)


def test_a_lens_is_a_value():
    lens = Lens("opencv", [0, 1, 0, 0])  # type: ignore[arg-type]  # what a YAML file gives
    assert lens == Lens("opencv", (0.0, 1.0, 0.0, 0.0))
    assert len({lens, pickle.loads(pickle.dumps(lens))}) == 1


@pytest.mark.parametrize(
    "lens",
    [lens for lens in LENSES.values() if lens.model != "thin_prism_fisheye"]
    + [Lens("thin_prism_fisheye", (0.21, 0.211, 0, 0, -0.158, 0.407, 0, 0))],
)
def test_points_agree_with_opencv(lens):
    cv2 = pytest.importorskip("cv2", reason=NO_CV2)
    matrix = np.array([[811.3, 0, 634.2], [0, 808.9, 351.7], [0, 0, 1.0]])
    camera = Camera(811.3, 808.9, 634.2, 351.7, (1280, 720), lens)
    points = np.column_stack([NEAR_RAYS, np.ones(len(NEAR_RAYS))])[:, None]
    coefficients = np.array(lens._radial if lens.is_fisheye else lens.coefficients)
    still = np.zeros(3)
    model = cv2.fisheye if lens.is_fisheye else cv2
    theirs = model.projectPoints(points, still, still, matrix, coefficients)[0].reshape(-1, 2)
    np.testing.assert_allclose(camera.project(points.reshape(-1, 3)), theirs, rtol=0, atol=1e-6)

    exact = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 500, 1e-12)
    inverse = getattr(model, "undistortPointsIter", model.undistortPoints)  # split until OpenCV 5
    arguments = [matrix, coefficients, np.eye(3), matrix]
    theirs = inverse(theirs[:, None], *arguments, criteria=exact).reshape(-1, 2)
    pixels = camera.project(points.reshape(-1, 3))
    np.testing.assert_allclose(camera.undistort_pixels(pixels), theirs, rtol=0, atol=1e-6)
