# ruff: noqa: E501 - a line for each
"""What learners write: wrong answers, with a part of the question that the check asks, and right ones."""

# As changes to our solutions: (exercise, what our solution has, what the learner has instead, part of the question)
WRONG = [
    ("1-1", "(grey - grey[i]) ** 2", "1.0 * (images - images[i]).reshape(len(images), -1) ** 2", "if both are bytes"),
    ("1-1", "distance = ((grey - grey[i]) ** 2).sum(axis=1)", "distance = ((images - images[i]).astype(float) ** 2).sum(axis=(1, 2))", "if both are bytes"),
    ("1-1", "((grey - grey[i]) ** 2)", "abs(grey - grey[i])", "do you square the differences?"),
    ("1-1", "((grey - grey[i]) ** 2)", "(grey - grey[i])", "can differences cancel"),
    ("1-1", "((grey - grey[i]) ** 2).sum(axis=1)", "abs(grey.sum(axis=1) - grey[i].sum())", "can differences cancel"),
    ("1-1", "distance[i] = np.inf", "pass", "which image is always nearest to image i?"),
    ("1-1", "distance[i] = np.inf", "distance[i] = -np.inf", "which image is always nearest to image i?"),
    ("1-1", "distance[i] = np.inf\n    return int(distance.argmin())", "return int(np.delete(distance, i).argmin())", "count image i as well"),
    ("1-1", "distance[i] = np.inf\n    return int(distance.argmin())", "distance[i] = -np.inf\n    return int(distance.argmax())", "the smallest distance, or the largest"),
    ("1-1", "grey - grey[i]", "grey - grey[0]", "really the nearest?"),
    ("1-1", "return int(distance.argmin())", "return distance", "is that one number?"),
    ("1-1", "return int(distance.argmin())", "return data.x_pool[distance.argmin()]", "is that one number?"),
    ("1-1", "return int(distance.argmin())", "pass", "return anything"),
    ("1-2", ">= spread", "> spread", "'at least 30'"),
    ("1-2", "counts.max(axis=1) - counts.min(axis=1)", "counts[:, 1] - counts[:, 8]", "at least 0"),
    ("1-2", "counts.max(axis=1) - counts.min(axis=1)", "abs(counts[:, 1] - counts[:, 8])", "before you looked"),
    ("1-2", "multinomial(400", "multinomial(4000", "what does one of your sets look like?"),
    ("1-2", "np.full(10, 0.1)", "np.full(9, 1 / 9)", "what does one of your sets look like?"),
    ("1-2", "np.full(10, 0.1)", "np.bincount(data.y_test) / 400", "is every digit equally likely"),
    ("1-2", ".mean()", ".sum()", "is that a share?"),
    ("1-2", "return (counts", "(counts", "return anything"),
    ("2-1", "/ len(y)", "", "a sum or a mean"),
    ("2-1", "return x.T @ slope + C * W", "return x.T @ slope + C * W / len(y)", "which part of the loss is a mean?"),
    ("2-1", "+ C * W", "", "the loss has two parts"),
    ("2-1", "C * W", "2 * C * W", "derivative of w² / 2"),
    ("2-1", "return x.T @ slope + C * W", "return -(x.T @ slope + C * W)", "uphill or downhill"),
    ("2-1", "np.eye(10)[y]", "0", "agree with the differences"),
    ("2-1", "return x.T @ slope + C * W", "return (x.T @ slope + C * W).T", "which shape"),
    ("2-1", "return x.T @ slope", "x.T @ slope", "return anything"),
    ("2-2", "x[stop], y[stop]", "scale(data.x_test), data.y_test", "which images stop your fit?"),
    ("2-2", "x[stop], y[stop]", "x[400:800], y[400:800]", "does `start` change anything?"),
    ("2-2", "return (answers == data.y_test).mean()", "return (model.predict_proba(x[stop]).argmax(axis=1) == y[stop]).mean()", "which stop, and which judge?"),
    ("2-2", "x[:400], y[:400]", "x[:4000], y[:4000]", "which images train"),
    ("2-2", "x[:400], y[:400]", "x[:40], y[:40]", "how many images does your model learn from?"),
    ("2-2", ".mean()", ".sum()", "a share from 0 to 1"),
    ("2-2", "return (answers", "(answers", "return anything"),
    ("3-1", "matrix + matrix.T", "matrix", "in both directions?"),
    ("3-1", ", k=1", "", "is that a mistake at all?"),
    ("3-1", "int(both[a, b])", "int(matrix[a, b])", "in both directions together"),
    ("3-1", "return int(a), int(b), int(both[a, b])", "return int(b), int(a), int(both[a, b])", "which of the two digits comes first?"),
    ("3-1", "return int(a), int(b), int(both[a, b])", "return int(a), int(b)", "the shape that is asked for"),
    ("3-1", "return int(a)", "int(a)", "return anything"),
    ("3-2", "1.96 *", "1 *", "how many standard errors"),
    ("3-2", "1.96 *", "1.645 *", "how many standard errors"),
    ("3-2", "(1 - share) / 400", "(1 - share) / 4000", "how many images is the accuracy measured on?"),
    ("3-2", "(share * (1 - share) / 400) ** 0.5", "share / 400**0.5", "shares from 0 to 1"),
    ("3-2", "round(0.005 * 400)", "0.5", "half a point of 400"),
    ("3-2", "share = 369 / 400", "share = 92.25", "is that one number?"),
    ("3-2", "low, high = share -", "high, low = share -", "inside your interval"),
    ("4-1", "argmin()", "argmax()", "or the farthest?"),
    ("4-1", "((x - c) ** 2)", "(c**2 - 2 * x * c)", "nearest to its centre"),
    ("4-1", "np.array([((x - c) ** 2).sum(axis=1).argmin() for c in centres])", "np.array([((centres - row) ** 2).sum(axis=1).argmin() for row in x])", "or a centre for each image?"),
    ("4-1", "np.array([((x - c) ** 2).sum(axis=1).argmin() for c in centres])", "[x[((x - c) ** 2).sum(axis=1).argmin()] for c in centres]", "the shape that is asked for"),
    ("4-2", 'centres, cluster = kmeans2(x, 50, iter=10, minit="++", seed=0)', "return np.arange(50)", "more than chance"),
    ("4-2", 'centres, cluster = kmeans2(x, 50, iter=10, minit="++", seed=0)', "return np.random.default_rng(3).choice(1000, 50, replace=False)", "more than chance"),
    ("4-2", 'centres, cluster = kmeans2(x, 50, iter=10, minit="++", seed=0)', "return np.zeros(50, int)", "an image twice"),
    ("4-2", 'centres, cluster = kmeans2(x, 50, iter=10, minit="++", seed=0)', "return x[:50]", "the shape that is asked for"),
    ("4-2", 'centres, cluster = kmeans2(x, 50, iter=10, minit="++", seed=0)', "return np.argsort(x.sum(axis=1))[:50]", "resemble one another"),
    ("4-2", 'centres, cluster = kmeans2(x, 50, iter=10, minit="++", seed=0)', "return ((x - x.mean(axis=0)) ** 2).sum(axis=1).argsort()[:50]", "resemble one another"),
    ("4-2", 'centres, cluster = kmeans2(x, 50, iter=10, minit="++", seed=0)', "return ((x - x.mean(axis=0)) ** 2).sum(axis=1).argsort()[-50:]", "the odd ones"),
    ("4-2", "argmin()]", "argmax()]", "the odd ones"),
    ("4-2", "return np.array([*chosen", "np.array([*chosen", "return anything"),
    ("4-2", 'centres, cluster = kmeans2(x, 50, iter=10, minit="++", seed=0)', "return np.arange(50) / 50", "a whole number"),
    ("4-2", 'centres, cluster = kmeans2(x, 50, iter=10, minit="++", seed=0)', "return np.arange(1000, 1050)", "is there such an image?"),
    ("5-1", "learner.reset()", "pass", "how many labels has the learner"),
    ("5-1", ".permutation(4000)", ".integers(0, 4000, 4000)", "different ones?"),
    ("5-1", "default_rng(seed)", "default_rng(0)", "does the seed change anything?"),
    ("5-1", "default_rng(seed)", "default_rng()", "repeats your draw"),
    ("5-1", "label_manually(400)", "label_manually(4000)", "how many labels has the learner"),
    ("5-1", "    return learner.history", "    learner.history", "return anything"),
    ("5-2", "((1.96 * scatter / half_width) ** 2)", "(1.96 * scatter / half_width)", "five times as fine"),
    ("5-2", "int(np.ceil((1.96 * scatter / half_width) ** 2))", "(1.96 * scatter / half_width) ** 2", "a part of a draw"),
    ("5-2", "int(np.ceil((1.96 * scatter / half_width) ** 2))", "int((1.96 * scatter / half_width) ** 2)", "would your draws be enough?"),
    ("5-2", "return int", "int", "return anything"),
    ("5-2", "1.96 * scatter", "scatter", "how many standard errors"),
    ("5-2", "1.96 * scatter /", "2 * 1.96 * scatter /", "the whole interval"),
    ("6-1", "return ordered[:, -1] - ordered[:, -2]", "return ordered[:, -2] - ordered[:, -1]", "your margin ask about first"),
    ("6-1", "return ordered[:, -1] - ordered[:, -2]", "return proba[:, 0] - proba[:, 1]", "which two probabilities"),
    ("6-1", "return ordered[:, -1] - ordered[:, -2]", "return proba.max(axis=1)", "which two probabilities"),
    ("6-1", "return ordered[:, -1] - ordered[:, -2]", "return ordered[:, 1] - ordered[:, 0]", "which two probabilities"),
    ("6-1", "return ordered[:, -1] - ordered[:, -2]", "return ordered[-1] - ordered[-2]", "the shape that is asked for"),
    ("6-1", "np.maximum(proba, 1e-30)", "proba", "0 times log 0"),
    ("6-1", "return (proba", "return -(proba", "your entropy ask about first"),
    ("6-1", "np.log(", "np.log2(", "which logarithm"),
    ("6-1", "return (proba * np.log(np.maximum(proba, 1e-30)))", "return np.log(np.maximum(proba, 1e-30))", "your entropy ask about first"),
    ("6-1", ".sum(axis=1)", ".sum()", "the shape that is asked for"),
    ("6-1", "    return ordered[:, -1]", "    ordered[:, -1]", "return anything"),
    ("6-2", "price * n_labels + ", "", "what do the labels cost?"),
    ("6-2", "* n_images ", "", "what do mistakes cost in all?"),
    ("6-2", "cost.argmin()", "(np.diff(cost) > 0).argmax()", "after the flat stretch"),
    ("6-2", "return int(n_labels[cost.argmin()])", "return int(cost.argmin())", "or a place in a list?"),
    ("6-2", "return int(n_labels[cost.argmin()])", "return int(cost.min())", "on offer"),
    ("6-2", "return int(n_labels[cost.argmin()])", "return cost", "is that one number?"),
    ("6-2", "cost.argmin()", "np.flatnonzero(cost == cost.min())[-1]", "that cost the same"),
    ("6-2", "* (1 - accuracy)", "* accuracy", "what does a right answer cost?"),
    ("6-2", "return int", "int", "return anything"),
    ("7-1", "rng.integers(1, 10, len(y))", "rng.integers(0, 10, len(y))", "right by chance"),
    ("7-1", "rng.integers(1, 10, len(y))", "1", "equally likely"),
    ("7-1", "return np.where(wrong, (y + shift) % 10, y)", "y[wrong] = (y + shift)[wrong] % 10\n    return y", "still what it was"),
    ("7-1", "% 10, y)", ", y)", "one of the ten digits"),
    ("7-1", "(y + shift) % 10", "(y + shift) % 10 + 0.0", "a whole number"),
    ("7-1", "< rate", "> rate", "with which probability"),
    ("7-1", "< rate", "< rate / 2", "with which probability"),
    ("7-1", "return np.where", "np.where", "return anything"),
    ("7-2", "most_confident_first", "least_confident_first", "which images stand first"),
    ("7-2", "if n:\n        learner.auto_label(n)", "learner.auto_label(max(n, 1))", "no image is sure enough"),
    ("7-2", ">= threshold", "< threshold", "no image is sure enough"),
    ("7-2", "learner.auto_label(n)", "pass", "how many images reach"),
    ("7-2", "learner.auto_label(n)", "learner.auto_label(n)\n        learner.fit(verbose=False)", "who asked for a fit"),
    ("8-1", "right_b.astype(float) - right_a", "right_a.astype(float) - right_b", "who is better in your difference"),
    ("8-1", "right_b.astype(float) - right_a", "(right_b ^ right_a).astype(float)", "a has right and b has not"),
    ("8-1", "right_b.astype(float) - right_a", "np.sort(right_b).astype(float) - np.sort(right_a)", "the same image in both"),
    ("8-1", "right_b.astype(float) - right_a", "np.random.default_rng(0).permutation(right_b).astype(float) - right_a", "answer the same images"),
    ("8-1", " / len(gain) ** 0.5", "", "of one image, or of the mean"),
    ("8-1", " / len(gain) ** 0.5", " / len(gain)", "how wide is a 95% interval"),
    ("8-1", "1.96 * standard_error, gain.mean() + 1.96", "standard_error, gain.mean() + 1", "how many standard errors"),
    ("8-1", "1.96", "1.645", "how wide is a 95% interval"),
    ("8-1", "right_b.astype(float) - right_a", "100 * (right_b.astype(float) - right_a)", "or percent"),
    ("8-1", "gain = right_b", "gain = abs(right_b.mean() - right_a.mean()) - (right_b.mean() - right_a.mean()) + right_b", "can your difference be negative?"),
    ("8-1", "    return gain.mean() - 1.96 * standard_error, gain.mean() + 1.96 * standard_error", "    return gain.mean() + 1.96 * standard_error, gain.mean() - 1.96 * standard_error", "which of your ends"),
    ("8-1", "    return gain.mean() - 1.96 * standard_error, gain.mean() + 1.96 * standard_error", "    return gain.mean()", "the shape that is asked for"),
    ("8-1", "    return gain", "    gain", "return anything"),
    ("8-1", "gain.std(ddof=1)", "(right_a.var() + right_b.var()) ** 0.5", "answer the same images"),
    ("8-2", "return accuracy - fit_and_score(unselected)", "return fit_and_score(unselected) - accuracy", "which of the two do you subtract?"),
    ("8-2", "return accuracy - fit_and_score(unselected)", "return accuracy", "compared with what?"),
    ("8-2", "return accuracy - fit_and_score(unselected)", "return 100 * (accuracy - fit_and_score(unselected))", "of your two models"),
    ("8-2", " - fit_and_score(unselected)", " - 0.84", "compared with what?"),
    ("8-2", "        chosen.lowest_first(queries.margin)\n", "", "where does anything choose?"),
    ("8-2", "range(20)", "range(15)", "400 labels for both?"),
    ("8-2", "range(20):\n        chosen.label_manually(20)", "range(40):\n        chosen.label_manually(10)", "between one fit and the next?"),
    ("8-2", "queries.margin", "queries.entropy", "what did the model ask for?"),
    ("8-2", "queries.margin", "lambda proba: -queries.margin(proba)", "what did the model ask for?"),
    ("8-2", "unselected.label_manually(400)", "unselected.label_manually(200)", "compared with what?"),
    ("8-2", "fresh_draw(seed), fresh_draw(seed)", "fresh_draw(1), fresh_draw(1)", "does the seed change anything?"),
    ("8-2", "return accuracy", "accuracy", "return anything"),
]  # fmt: skip

# Right in another way than our solutions. Where a check would train many models, something quick stands in.
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
    "4-2": """
from scipy.cluster.hierarchy import fcluster, linkage


def first_batch(x):
    group, chosen = fcluster(linkage(x, "ward"), 50, "maxclust"), []
    for k in range(1, 51):
        members = np.flatnonzero(group == k)
        chosen.append(members[((x[members] - x[members].mean(axis=0)) ** 2).sum(axis=1).argmin()])
    return chosen
""",
    "5-1": """
def accuracy_of(seed):
    own = ActiveLearner(learner.data, model=SoftmaxRegression)
    own.ask_first(np.random.default_rng(seed).choice(4000, 400, replace=False))
    own.label_manually(400)
    own.fit(verbose=False)
    return own.score(own.data.x_test, own.data.y_test)
""",
    "6-1": """
def margin(proba):
    best = proba.argmax(axis=1)
    rest = proba.copy()
    rest[np.arange(len(proba)), best] = -1
    return proba.max(axis=1) - rest.max(axis=1)


def entropy(proba):
    from scipy.special import entr

    return -entr(proba).sum(axis=1)


def accuracy_by(measure, seed):  # the loop itself has run in the solution
    return 0.8 + measure(np.full((1, 10), 0.1))[0] / 100 + seed / 1000
""",
    "7-1": """
def careless(y, rate):
    rng = np.random.default_rng(3)
    told = y.copy()
    for i in np.flatnonzero(rng.random(len(y)) < rate):
        told[i] = rng.choice([digit for digit in range(10) if digit != y[i]])
    return told


def accuracy_with(labels_of, seed):  # the loop itself has run in the solution
    y = np.arange(1000) % 10
    return (labels_of(y) == y).mean() - seed / 1000
""",
    "8-1": """
def difference(right_a, right_b):
    gain, rng = right_b.astype(int) - right_a.astype(int), np.random.default_rng(5)
    return np.percentile([rng.choice(gain, 400).mean() for _ in range(2000)], [2.5, 97.5])
""",
    "8-2": """
def gain(seed):
    learner = fresh_draw(seed)
    for n in range(20):
        learner.label_manually(20)
        learner.fit(verbose=False)
        lead = np.sort(learner.predict_proba(learner.unlabeled), axis=1)
        learner.ask_first((lead[:, -1] - lead[:, -2]).argsort(kind="stable"))
    with_choice = learner.score(learner.data.x_test, learner.data.y_test)
    learner.reset()
    learner.label_manually(400)
    return with_choice - fit_and_score(learner)
""",
}
