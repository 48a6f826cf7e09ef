# ruff: noqa: E501 - a line for each
"""What learners write: wrong answers, with a part of the sentence that the check says, and right ones."""

# As changes to our solutions: (exercise, what our solution has, what the learner has instead, part of the sentence)
WRONG = [
    ("1-1", "(grey - grey[i]) ** 2", "1.0 * (images - images[i]).reshape(len(images), -1) ** 2", "where 3 - 5 is 254"),
    ("1-1", "distance[i] = np.inf", "pass", "leave image i out"),
    ("1-1", "grey - grey[i]", "grey - grey[0]", "are not nearest"),
    ("1-1", "return int(distance.argmin())", "pass", "end it with `return …`"),
    ("1-2", ">= spread", "> spread", "'at least' includes 30"),
    ("1-2", "counts.max(axis=1) - counts.min(axis=1)", "counts[:, 1] - counts[:, 8]", "chance(0, 100) is"),
    ("1-2", "counts.max(axis=1) - counts.min(axis=1)", "abs(counts[:, 1] - counts[:, 8])", "named beforehand"),
    ("1-2", "multinomial(400", "multinomial(4000", "is too far off"),
    ("1-2", ".mean()", ".sum()", "a share lies between"),
    ("1-2", "return (counts", "(counts", "end it with `return …`"),
    ("2-1", "/ len(y)", "", "divide by len(y)"),
    ("2-1", "+ C * W", "", "price for large weights is missing"),
    ("2-1", "C * W", "2 * C * W", "is C · w"),
    ("2-1", "return x.T @ slope + C * W", "return -(x.T @ slope + C * W)", "turn the sign"),
    ("2-1", "np.eye(10)[y]", "0", "the first slope is"),
    ("2-1", "return x.T @ slope + C * W", "return (x.T @ slope + C * W).T", "has the shape of W"),
    ("2-1", "return x.T @ slope", "x.T @ slope", "end it with `return …`"),
    ("2-2", "x[stop], y[stop]", "scale(data.x_test), data.y_test", "you still stop on the test images"),
    ("2-2", "x[stop], y[stop]", "x[400:800], y[400:800]", "all nine are the same"),
    ("2-2", "return (answers == data.y_test).mean()", "return (model.predict_proba(x[stop]).argmax(axis=1) == y[stop]).mean()", "score on the test images"),
    ("2-2", "x[:400], y[:400]", "x[:4000], y[:4000]", "score on the test images, not on those you stop on, and train on 400"),
    ("2-2", "return (answers", "(answers", "end it with `return …`"),
    ("3-1", "matrix + matrix.T", "matrix", "that is one direction"),
    ("3-1", ", k=1", "", "is a right answer, not a mistake"),
    ("3-1", "int(both[a, b])", "int(matrix[a, b])", "add both directions"),
    ("3-1", "return int(a), int(b), int(both[a, b])", "return int(a), int(b)", "three whole numbers"),
    ("3-1", "return int(a)", "int(a)", "end it with `return …`"),
    ("3-2", "1.96 *", "1 *", "one standard error either way"),
    ("3-2", "1.96 *", "1.645 *", "95 % takes 1.96 standard errors"),
    ("3-2", "(1 - share) / 400", "(1 - share) / 4000", "too narrow"),
    ("3-2", "(share * (1 - share) / 400) ** 0.5", "share / 400**0.5", "not percentages"),
    ("3-2", "round(0.005 * 400)", "0.5", "one point is 4 of them"),
    ("3-2", "share = 369 / 400", "share = 92.25", "not percentages"),
    ("4-1", "argmin()", "argmax()", "are not nearest"),
    ("4-1", "((x - centre) ** 2)", "(centre**2 - 2 * x * centre)", "sum all of (x - c)²"),
    ("4-1", "return np.array([((x - centre) ** 2).sum(axis=1).argmin() for centre in centres])", "return np.array([((centres - row) ** 2).sum(axis=1).argmin() for row in x])", "a centre for each image"),
    ("4-2", 'centres, cluster = kmeans2(x, 50, iter=10, minit="++", seed=0)', "return np.arange(50)", "are the first 50"),
    ("4-2", 'centres, cluster = kmeans2(x, 50, iter=10, minit="++", seed=0)', "return np.zeros(50, int)", "only 1 of your 50"),
    ("4-2", 'centres, cluster = kmeans2(x, 50, iter=10, minit="++", seed=0)', "return x[:50]", "not an array of shape"),
    ("4-2", 'centres, cluster = kmeans2(x, 50, iter=10, minit="++", seed=0)', "return np.argsort(x.sum(axis=1))[:50]", "worse than the first 50"),
    ("4-2", "return np.array([*chosen", "np.array([*chosen", "end it with `return …`"),
    ("4-2", 'centres, cluster = kmeans2(x, 50, iter=10, minit="++", seed=0)', "return np.arange(50) / 50", "whole numbers from 0 to 999"),
    ("5-1", "learner.reset()", "pass", "reset the learner before each draw"),
    ("5-1", ".permutation(4000)", ".integers(0, 4000, 4000)", "drawn twice"),
    ("5-1", "default_rng(seed)", "default_rng(0)", "let the seed decide"),
    ("5-1", "default_rng(seed)", "default_rng()", "make the generator from seed"),
    ("5-1", "label_manually(400)", "label_manually(4000)", "had 4000 labels"),
    ("5-2", "((1.96 * scatter / half_width) ** 2)", "(1.96 * scatter / half_width)", "square the ratio"),
    ("5-2", "int(np.ceil((1.96 * scatter / half_width) ** 2))", "(1.96 * scatter / half_width) ** 2", "round up"),
    ("5-2", "int(np.ceil((1.96 * scatter / half_width) ** 2))", "int((1.96 * scatter / half_width) ** 2)", "15 draws are not quite enough: round up"),
    ("5-2", "int(np.ceil((1.96 * scatter / half_width) ** 2))", "round((1.96 * scatter / half_width) ** 2)", "15 draws are not quite enough: round up"),
    ("5-2", "return int", "int", "end it with `return …`"),
    ("5-2", "1.96 * scatter", "scatter", "1.96 of them"),
    ("5-2", "1.96 * scatter /", "2 * 1.96 * scatter /", "not the whole width"),
    ("5-2", "ddof=1)", "ddof=0) * 2", "not the whole width"),
    ("6-1", "return ordered[:, -1] - ordered[:, -2]", "return ordered[:, -2] - ordered[:, -1]", "turn the sign of the margin"),
    ("6-1", "return ordered[:, -1] - ordered[:, -2]", "return proba[:, 0] - proba[:, 1]", "have the margin 0.5"),
    ("6-1", "return ordered[:, -1] - ordered[:, -2]", "return proba.max(axis=1)", "have the margin 0.5"),
    ("6-1", "np.maximum(proba, 1e-30)", "proba", "0 times log 0"),
    ("6-1", "return (proba", "return -(proba", "turn the sign of the entropy"),
    ("6-1", "np.log(", "np.log2(", "wanted are 0, -0.777"),
    ("6-1", ".sum(axis=1)", ".sum()", "a number for each image"),
    ("6-2", "price * n_labels + ", "", "the price counts"),
    ("6-2", "* n_images ", "", "the small curve asks for"),
    ("6-2", "cost.argmin()", "(np.diff(cost) > 0).argmax()", "where the curve first stands still"),
    ("6-2", "cost.argmin()", "np.flatnonzero(cost == cost.min())[-1]", "you buy 70: the fewest"),
    ("6-2", "return int", "int", "end it with `return …`"),
    ("7-1", "rng.integers(1, 10, len(y))", "rng.integers(0, 10, len(y))", "is the right one at times"),
    ("7-1", "rng.integers(1, 10, len(y))", "1", "draw the other nine evenly"),
    ("7-1", "return np.where(wrong, (y + shift) % 10, y)", "y[wrong] = (y + shift)[wrong] % 10\n    return y", "work on a copy"),
    ("7-1", "% 10, y)", ", y)", "a digit for every label"),
    ("7-1", "< rate", "> rate", "20 % are wanted"),
    ("7-1", "return np.where", "np.where", "end it with `return …`"),
    ("7-2", "most_confident_first", "least_confident_first", "you label less sure ones"),
    ("7-2", "if n:\n        learner.auto_label(n)", "learner.auto_label(max(n, 1))", "nothing may be labelled"),
    ("7-2", ">= threshold", "< threshold", "nothing may be labelled"),
    ("7-2", "learner.auto_label(n)", "pass", "images are sure enough"),
    ("7-2", "learner.auto_label(n)", "learner.auto_label(n)\n        learner.fit(verbose=False)", "label only"),
    ("8-1", "right_b.astype(float) - right_a", "right_a.astype(float) - right_b", "turn the sign: b minus a"),
    ("8-1", "1.96 * standard_error, gain.mean() + 1.96", "standard_error, gain.mean() + 1", "one standard error"),
    ("8-1", "1.96", "1.645", "1.96 standard errors either way"),
    ("8-1", "    return gain", "    gain", "end it with `return …`"),
    ("8-1", "gain.std(ddof=1)", "(right_a.var() + right_b.var()) ** 0.5", "two samples of images"),
    ("8-2", "return learner.score(x_test, y_test) - without", "return without - learner.score(x_test, y_test)", "turn the sign"),
    ("8-2", "learner.score(x_test, y_test)", "learner.history[-1].accuracy", "the 400 also stop the training"),
    ("8-2", "        learner.least_confident_first()\n", "", "you score the first 200 twice"),
    ("8-2", "range(10)", "range(15)", "you choose 300 labels"),
    ("8-2", "    learner.reset()\n", "", "reset between the two"),
    ("8-2", "    for _ in range(10):\n        learner.label_manually(20)", "    for _ in range(20):\n        learner.label_manually(10)", "ask for twenty at a time"),
    ("8-2", "least_confident", "most_confident", "a batch is not the least confident"),
    ("8-2", "        learner.fit(verbose=False)\n        learner.least_confident_first()", "        learner.least_confident_first()", "you score the first 200 twice: fit"),
    ("8-2", "learner.label_manually(200)", "learner.label_manually(400)", "score a model of the first 200 as well"),
    ("8-2", " - without", "", "a difference of shares"),
    ("8-2", "return learner.score", "learner.score", "end it with `return …`"),
]  # fmt: skip

# Right in another way than our solutions; those that are quickly checked.
RIGHT = {
    "2-1": """
def gradient(x, y, W, C):
    p = probabilities(x, W)
    p[np.arange(len(y)), y] -= 1
    return np.einsum("ni,nk->ik", x, p) / len(x) + C * W
""",
    "3-1": """
from collections import Counter


def mixed_up(truth, answers):
    pairs = (tuple(sorted(map(int, pair))) for pair in zip(truth, answers) if pair[0] != pair[1])
    [(pair, n)] = Counter(pairs).most_common(1)
    return [*pair, n]
""",
    "3-2": """
from alhelpers.intervals import proportion

half_point = 0.005 * 400
_, low, high = proportion(369, 400)
""",
    "4-1": """
from scipy.spatial.distance import cdist


def most_typical(x, centres):
    return cdist(x, centres).argmin(axis=0).tolist()
""",
    "5-2": """
def draws_needed(accuracy, half_width):
    return -int(-(1.96**2) * np.var(accuracy) / half_width**2 // 1)
""",
    "6-2": """
def best_stop(n_labels, accuracy, price, loss, n_images):
    cost = lambda stop: price * stop[0] + loss * n_images * (1 - stop[1])
    return min(zip(n_labels, accuracy), key=cost)[0]
""",
    "7-2": """
def auto_label_above(learner, threshold):
    confidence = learner.predict_proba(learner.unlabeled).max(axis=1)
    learner.most_confident_first()
    if (confidence >= threshold).any():
        learner.auto_label(np.count_nonzero(confidence >= threshold))
""",
    "8-1": """
def difference(right_a, right_b):
    gain, rng = right_b.astype(int) - right_a.astype(int), np.random.default_rng(5)
    return np.percentile([rng.choice(gain, 400).mean() for _ in range(4000)], [2.5, 97.5])
""",
    "8-2": """
def gain(seed):
    learner, x, y = fresh_draw(seed)
    for _ in range(10):
        learner.unlabeled = learner.unlabeled[learner.predict_proba(learner.unlabeled).max(axis=1).argsort()]
        learner.label_manually(20)
        learner.fit(verbose=False)
    chosen = learner.score(x, y)
    learner.reset()
    learner.label_manually(200)
    learner.fit(verbose=False)
    return chosen - learner.score(x, y)
""",
}
