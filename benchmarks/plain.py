"""The plain program: the same active-learning loop with one `session.run` for every training step.

It is what this project is measured against, so it is kept as simple as TensorFlow 1 code usually is.
Images stay float64 arrays in NumPy and are fed, and converted, anew at every step.
"""

from collections.abc import Iterator

import numpy as np
import tensorflow.compat.v1 as tf

from alhelpers import Dataset, load_mnist

PATIENCE = 10


def load() -> Dataset:
    """The first 4000 training and 400 test images of MNIST, grey levels divided by 255 in float64."""
    raw = load_mnist()
    return Dataset(raw.x_pool / 255, raw.y_pool, raw.x_test / 255, raw.y_test)


def rounds(data: Dataset) -> Iterator[tuple[str, int, float, int]]:
    """Run the whole experiment; yield (stage, number of labels, test accuracy, steps) after every fit.

    40 fits "active" (10 to 400 labels from a person, least confident first), one fit "naive" (the model
    labels all the rest; then everything is put back), and 360 fits "auto" (each with 10 more labels, the
    ones the model is most confident of).
    """
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, *data.x_pool.shape[1:]])
        y_true = tf.placeholder(tf.int32, [None])
        weights = tf.Variable(tf.zeros([np.prod(data.x_pool.shape[1:]), 10]))
        bias = tf.Variable(tf.zeros([10]))
        logits = tf.matmul(tf.reshape(x, [-1, weights.shape[0]]), weights) + bias
        softmax = tf.nn.softmax(logits)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y_true, logits=logits)
        train = tf.train.AdamOptimizer(0.1).minimize(tf.reduce_mean(losses))
        hits = tf.equal(tf.argmax(logits, 1, output_type=tf.int32), y_true)
        accuracy = tf.reduce_mean(tf.cast(hits, tf.float32))

        # W, b, and Adam's state. Values are put back through placeholders: assign operations made on the
        # spot would let the graph grow, and slow down, from round to round.
        variables = tf.global_variables()
        slots = [tf.placeholder(v.dtype, v.shape) for v in variables]
        assigns = [v.assign(slot) for v, slot in zip(variables, slots, strict=True)]
        initialize = tf.global_variables_initializer()

    session = tf.Session(graph=graph)
    session.run(initialize)
    test = {x: data.x_test, y_true: data.y_test}

    def put_back(values: list[np.ndarray]) -> None:
        """Set the first len(values) variables: two for W and b, all of them for the whole state."""
        n = len(values)
        session.run(assigns[:n], dict(zip(slots[:n], values, strict=True)))

    def fit(stage: str) -> tuple[str, int, float, int]:
        """Train until ten steps in a row bring no better test accuracy; keep the best weights."""
        best, kept = session.run(accuracy, test), session.run(variables[:2])
        steps, trials = 0, PATIENCE
        while trials > 0:
            session.run(train, {x: x_labeled, y_true: y_labeled})
            steps += 1
            score = session.run(accuracy, test)
            if score > best:
                best, kept, trials = score, session.run(variables[:2]), PATIENCE
            else:
                trials -= 1
        put_back(kept)
        return stage, len(x_labeled), float(session.run(accuracy, test)), steps

    def by_confidence() -> tuple[np.ndarray, np.ndarray]:
        """The unlabelled images' order, least confident first, and the model's labels in that order."""
        probability = session.run(softmax, {x: x_unlabeled})
        order = np.argsort(probability.max(axis=1))
        return order, probability.argmax(axis=1)[order]

    x_labeled, y_labeled = data.x_pool[:0], data.y_pool[:0]
    x_unlabeled, y_unlabeled = data.x_pool, data.y_pool
    for _ in range(40):
        x_labeled = np.concatenate([x_labeled, x_unlabeled[:10]])
        y_labeled = np.concatenate([y_labeled, y_unlabeled[:10]])
        x_unlabeled, y_unlabeled = x_unlabeled[10:], y_unlabeled[10:]
        yield fit("active")
        order, _ = by_confidence()
        x_unlabeled, y_unlabeled = x_unlabeled[order], y_unlabeled[order]

    before, x_before, y_before = session.run(variables), x_labeled, y_labeled
    order, guesses = by_confidence()
    x_labeled = np.concatenate([x_labeled, x_unlabeled[order]])
    y_labeled = np.concatenate([y_labeled, guesses])
    naive = fit("naive")
    put_back(before)
    x_labeled, y_labeled = x_before, y_before
    yield naive

    for _ in range(360):
        order, guesses = by_confidence()
        x_labeled = np.concatenate([x_labeled, x_unlabeled[order][-10:]])
        y_labeled = np.concatenate([y_labeled, guesses[-10:]])
        x_unlabeled = x_unlabeled[order][:-10]
        yield fit("auto")


if __name__ == "__main__":
    for stage, n_labels, score, steps in rounds(load()):
        print(f"{stage:<8}{n_labels:>5} labels {score:8.4f} {steps:>4} steps")
