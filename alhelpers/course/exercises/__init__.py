"""The checks of the exercises in workshop/, a module for each notebook.

Each takes what its learner wrote, and what it needs of the notebook; it raises NotYet or returns what to say.
Numbers that a check compares with are computed here, by the shortest way, and so are those of common
mistakes, which get a sentence of their own.
"""
