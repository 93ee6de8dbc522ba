"""What AutoGraph made of functions in one fork is there in the next, with the same answers."""

_TRACES = """import tensorflow as tf
from tensorflow.python.autograph.impl import api
from tfav.ops import similarity

kept = api._TRANSPILER._cache
before = len(kept)
x = tf.constant([[3.0, 4.0]])
y = tf.function(similarity.normalize)(x)
print(len(kept) - before, y.numpy().tolist())
"""


def test_the_next_fork_converts_nothing_anew(forks, tmp_path):
    (tmp_path / "traces.py").write_text(_TRACES)
    done = [forks.start([tmp_path / "traces.py"]).done() for _ in range(2)]
    assert [one.code for one in done] == [0, 0], done[0].stderr
    (_, first), (number, second) = (one.stdout.split(" ", 1) for one in done)
    assert number == "0" and first == second
