"""When examples were learned and forgotten, against a loop."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reportgen.analysis.learning import learning


@given(
    hnp.arrays(np.int64, st.tuples(st.integers(1, 7), st.integers(0, 5)), elements=st.integers(-2, 2)),
    st.data(),
)
def test_it_is_what_a_loop_finds(predicted, data):
    labels = data.draw(hnp.arrays(np.int64, predicted.shape[1:], elements=st.integers(0, 2)))
    found = learning(predicted, labels)
    for example, label in enumerate(labels):
        right = [int(guess) == label for guess in predicted[:, example]]
        lost = [frame for frame in range(1, len(right)) if right[frame - 1] and not right[frame]]
        assert found.first[example] == (right.index(True) if True in right else -1)
        assert found.forgotten[example] == (lost[-1] if lost else -1)
        assert found.times[example] == len(lost)
