"""Arms of any size for the property tests of the statistics."""

from hypothesis import strategies as st

from pipelines.experiments.arms import Arm


@st.composite
def rates(draw: st.DrawFn, most: int = 10**7) -> Arm:
    """Up to `most` units, of which any number were engaged."""
    n = draw(st.integers(0, most))
    return Arm(n, draw(st.integers(0, n)))
