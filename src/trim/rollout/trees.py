"""The explored part of the step store as arrays: one tree for each problem and replicate.

A step is a pure function of (model, prefix, replicate). So all episodes of a problem in one
replicate, under whatever router, are paths in one tree: at each node, a prefix, the router
keeps the draft or takes the strong model's step. Known parts of the tree are walked by array
look-ups; the models are asked only for what no router reached before, many nodes at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trim.arrays import Booleans, Integers
from trim.errors import InputError, StoreError
from trim.models.protocols import ModelPair, Prefix, Step
from trim.models.store import ask_all
from trim.problems.answers.boxes import solution_answer
from trim.problems.grading import Judge
from trim.problems.problem import Problem
from trim.progress import Progress
from trim.rollout.history import Drafts, Outcome

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN, ENDS = -1, -2
TREES_AT_A_TIME = 500  # with fewer, more of the passes that write steps are nearly empty
KEEP, REGENERATE = 0, 1

PAIRED = ("tokens", "prompt_tokens", "score", "final", "correct", "correct_strict", "child")
"""Fields with two values: of the draft (index KEEP) and of the strong step (index REGENERATE)."""

NODE = np.dtype(
    [
        ("root", np.int32),  # index of the tree
        ("parent", np.int32),  # UNKNOWN at a root
        ("position", np.int32),  # number of steps before
        ("prm_tokens", np.int32),  # read to score the draft
        ("tokens", np.int32, 2),  # UNKNOWN while the model was not asked
        ("prompt_tokens", np.int32, 2),
        ("score", np.float64, 2),  # NaN for a strong step that nobody needs the score of: unknown, or the last one
        ("final", np.bool_, 2),  # the solution ends with this step
        ("correct", np.bool_, 2),
        ("correct_strict", np.bool_, 2),
        ("child", np.int32, 2),  # node, UNKNOWN or ENDS
    ]
)


class RolloutTrees:
    """Trees of solutions, grown where routers go.

    Parameters
    ----------
    problems, replicates
        One tree for each problem and replicate; trees stand in this order.
    max_steps
        Steps after which an episode ends.
    judge
        Verdict on the answer of a finished solution.
    pair
        The models behind the step store; None for trees that grow no more.

    Attributes
    ----------
    closed
        Whether routers have to stay in what is explored (`close`).
    decisions, answered_otherwise
        How many decisions were to stay in closed trees, and how many would have left them (`possible`).
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        replicates: int,
        max_steps: int,
        judge: Judge,
        pair: ModelPair | None = None,
    ) -> None:
        self.problems = list(problems)
        self.replicates = replicates
        self.max_steps = max_steps
        self.pair = pair
        self.closed = False
        self.decisions = self.answered_otherwise = 0
        self._judge = judge
        self._nodes = np.empty(0, NODE)
        self._texts: list[list[str | None]] = []
        self._answers: list[list[str | None]] = []
        self._prefixes: dict[int, Prefix] = {}
        self._roots: Integers = np.full(len(problems) * replicates, UNKNOWN)
        self._count = 0

    def __len__(self) -> int:
        """Return the number of nodes."""
        return self._count

    @property
    def nodes(self) -> NDArray[Any]:
        """All nodes, a record each; see `NODE`."""
        return self._nodes[: self._count]

    def roots(self) -> Integers:
        """Return the node at which each tree begins; the weak model drafts the first step where nobody asked it yet."""
        missing = np.flatnonzero(self._roots == UNKNOWN)
        self._roots[missing] = self._plant([(int(tree), UNKNOWN, self._prefix_at_root(int(tree))) for tree in missing])
        self.draft(self._roots)
        return self._roots

    def problem(self, tree: int) -> Problem:
        """Problem of a tree."""
        return self.problems[tree // self.replicates]

    def replicate(self, tree: int) -> int:
        """Replicate of a tree."""
        return tree % self.replicates

    def text(self, node: int, action: int) -> str:
        """Text of the draft, or of the strong step, at a node."""
        text = self._texts[node][action]
        assert text is not None, "the model was not asked here"
        return text

    def answer(self, node: int, action: int) -> str | None:
        """Answer of the solution that ends at a node with this action, if it holds one."""
        return self._answers[node][action]

    def prefix(self, node: int) -> Prefix:
        """Problem and steps that lead to a node."""
        if node not in self._prefixes:
            parent = int(self._nodes["parent"][node])
            if parent == UNKNOWN:
                self._prefixes[node] = self._prefix_at_root(int(self._nodes["root"][node]))
            else:
                action = KEEP if self._nodes["child"][parent, KEEP] == node else REGENERATE
                self._prefixes[node] = self.prefix(parent).extend(self.text(parent, action))
        return self._prefixes[node]

    def knows(self, nodes: Integers, actions: Integers) -> Booleans:
        """Tell where it is known what the actions lead to."""
        return np.asarray(self._nodes["child"][nodes, actions] != UNKNOWN)

    def possible(self, nodes: Integers, actions: Integers) -> Integers:
        """Return the actions that are taken: in closed trees, where one leads out of them, the other in its place."""
        if not self.closed:
            return actions
        taken = np.where(self.knows(nodes, actions), actions, 1 - actions)
        assert self.knows(nodes, taken).all(), "every path in closed trees ends (`close`)"
        self.decisions += len(nodes)
        self.answered_otherwise += int((taken != actions).sum())
        return taken

    def close(self, *, undrafted: bool = False) -> RolloutTrees:
        """Let no router leave what is explored from now on, and return the trees.

        With `undrafted`, nodes may lack a draft, as where the strong model alone came by: its step is taken there.

        Raises
        ------
        InputError
            If a path does not end within the trees, so that a router would have no action to take.
        """
        nodes = self.nodes
        stuck = (nodes["child"] == UNKNOWN).all(axis=1)
        missing = not undrafted and (nodes["tokens"][:, KEEP] == UNKNOWN).any()
        if missing or stuck.any() or (self._roots == UNKNOWN).any():
            raise InputError("rollout trees: paths break off, where no router could go on; delete them and run again")
        self.closed = True
        return self

    def follow(self, nodes: Integers, actions: Integers, *, drafted: bool = True) -> Integers:
        """Return the nodes that the actions lead to, ENDS where a solution ends; the models write what is unknown.

        Parameters
        ----------
        drafted
            Whether those nodes get their drafts too.
        """
        children: Integers = self._nodes["child"][nodes, actions].astype(np.int64)
        unknown = children == UNKNOWN
        if unknown.any():
            assert not self.closed, "in closed trees only what is `possible` is followed"
            self._grow(np.stack(np.divmod(np.unique(2 * nodes[unknown] + actions[unknown]), 2), 1))
            children = self._nodes["child"][nodes, actions].astype(np.int64)
        if drafted:
            self.draft(children[children >= 0])
        return children

    def draft(self, nodes: Integers) -> None:
        """Have the weak model draft the step after each node, and the PRM score it, where nobody did yet."""
        undrafted = np.unique(nodes[self._nodes["tokens"][nodes, KEEP] == UNKNOWN])
        if not undrafted.size:
            return
        pair = self._models()

        async def draft(node: int) -> tuple[Step, float, int]:
            prefix = self.prefix(node)
            step = await pair.weak.step(prefix, self.replicate(int(self._nodes["root"][node])))
            assert pair.prm is not None
            score = await pair.prm.score(prefix, step.text)
            return step, score.value, score.prompt_tokens

        drafts = ask_all(map(draft, undrafted.tolist()))
        for node, (step, score, prm_tokens) in zip(undrafted.tolist(), drafts, strict=True):
            self._nodes["prm_tokens"][node] = prm_tokens
            self._write(node, KEEP, step, score)

    def drafts(self, nodes: Integers, wanted: Booleans | slice = slice(None)) -> Drafts:
        """Return the drafts at nodes, shape (n,); where one is not wanted, nothing is seen of it."""
        at = self._nodes[nodes]
        seen = np.zeros(len(nodes), dtype=bool)
        seen[wanted] = True
        score = np.where(seen, at["score"][:, KEEP], np.nan)
        tokens = np.where(seen, at["tokens"][:, KEEP], 0)
        return Drafts(score, tokens, at["position"].astype(np.int64), seen & at["final"][:, KEEP])

    def outcome(self, nodes: Integers, regenerate: Booleans, children: Integers) -> Outcome:
        """Return what decisions at nodes brought, given the nodes that they lead to (`follow`)."""
        at, rows, actions = self._nodes[nodes], np.arange(len(nodes)), regenerate.astype(np.int64)
        tokens, score, ended = at["tokens"][rows, actions], at["score"][rows, actions], children < 0
        strong_tokens, correct = np.where(regenerate, tokens, 0), at["correct"][rows, actions] & ended
        return Outcome(regenerate, strong_tokens, score, tokens, ended, correct)

    def grow_fully(self, most_nodes: int, on_progress: Progress | None = None) -> None:
        """Explore whole trees, but leave a tree alone once it has more than `most_nodes` nodes.

        A few trees at a time, so that the models still hold the states of the prefixes that they go on from.
        """
        count = len(self.roots())
        for start in range(0, count, TREES_AT_A_TIME):
            frontier = self.roots()[start : start + TREES_AT_A_TIME]
            while frontier.size:
                sizes = np.bincount(self.nodes["root"], minlength=count)
                frontier = frontier[sizes[self.nodes["root"][frontier]] <= most_nodes]
                actions = (np.full(frontier.shape, action) for action in (KEEP, REGENERATE))
                children = [self.follow(frontier, action, drafted=False) for action in actions]
                frontier = np.unique(np.concatenate(children))
                frontier = frontier[frontier >= 0]
                self.draft(frontier)
            if on_progress is not None:
                on_progress(min(start + TREES_AT_A_TIME, count), count)

    def rescore(self) -> None:
        """Have the PRM score all steps again, as after a change of the PRM, some trees at a time."""
        places = np.argwhere((self.nodes["tokens"] != UNKNOWN) & ~np.isnan(self.nodes["score"]))
        levels = np.stack([self.nodes["position"], self.nodes["root"] // TREES_AT_A_TIME])[:, places[:, 0]]
        order = np.lexsort(levels)  # level by level: what stands before a step was read just before, in full passes
        parts = np.flatnonzero(np.diff(levels[:, order]).any(axis=0)) + 1
        prm = self._models().prm
        assert prm is not None
        for part in np.split(places[order], parts):
            scores = ask_all(prm.score(self.prefix(node), self.text(node, action)) for node, action in part.tolist())
            self.nodes["score"][part[:, 0], part[:, 1]] = [score.value for score in scores]

    def complete(self) -> Booleans:
        """Tell of each tree whether every path in it is known, shape (trees,)."""
        whole = np.ones(len(self._roots), dtype=bool)
        whole[self.nodes["root"][(self.nodes["child"] == UNKNOWN).any(axis=1)]] = False
        return whole

    # --- growth -------------------------------------------------------------------------

    def _prefix_at_root(self, tree: int) -> Prefix:
        return Prefix.of(self.problem(tree).text)

    def _grow(self, wishes: Integers) -> None:
        """Make known what follows from pairs (node, action), shape (n, 2), none of which is known."""
        self.draft(wishes[wishes[:, 1] == KEEP, 0])
        unasked = [
            int(node) for node, action in wishes if action == REGENERATE and self._nodes["tokens"][node, REGENERATE] < 0
        ]
        self._ask_strong(unasked)
        births, twins = [], []
        wished = set(map(tuple, wishes.tolist()))
        for node, action in wishes.tolist():
            same = self._texts[node][KEEP] == self._texts[node][REGENERATE]  # not where nothing was drafted
            if self._nodes["final"][node, action]:
                self._nodes["child"][node, action] = ENDS
            elif same and (self._nodes["child"][node, 1 - action] >= 0 or (action and (node, KEEP) in wished)):
                twins.append((node, action))  # both models wrote the same: one prefix, one node
            else:
                births.append((node, action))
        planted = self._plant(
            [
                (int(self._nodes["root"][node]), node, self.prefix(node).extend(self.text(node, action)))
                for node, action in births
            ]
        )
        for (node, action), child in zip(births, planted, strict=True):
            self._nodes["child"][node, action] = child
        for node, action in twins:
            self._nodes["child"][node, action] = self._nodes["child"][node, 1 - action]

    def _plant(self, places: Sequence[tuple[int, int, Prefix]]) -> Integers:
        """Add nodes at (tree, parent, prefix), without drafts, and return them."""
        added = np.arange(self._count, self._count + len(places))
        self._make_room(len(places))
        for node, (tree, parent, prefix) in zip(added.tolist(), places, strict=True):
            self._texts.append([None, None])
            self._answers.append([None, None])
            self._prefixes[node] = prefix
            self._nodes[node] = np.zeros((), NODE)
            self._nodes[node]["root"], self._nodes[node]["parent"] = tree, parent
            self._nodes[node]["position"] = prefix.depth
            self._nodes[node]["tokens"] = UNKNOWN
            self._nodes[node]["score"] = np.nan
            self._nodes[node]["child"] = UNKNOWN
        return added

    def _ask_strong(self, nodes: Sequence[int]) -> None:
        pair = self._models()

        async def regenerate(node: int) -> tuple[Step, float]:
            prefix = self.prefix(node)
            step = await pair.strong.step(prefix, self.replicate(int(self._nodes["root"][node])))
            if step.is_final or prefix.depth + 1 == self.max_steps:
                return step, np.nan
            assert pair.prm is not None
            return step, (await pair.prm.score(prefix, step.text)).value

        for node, (step, score) in zip(nodes, ask_all(map(regenerate, nodes)), strict=True):
            self._write(node, REGENERATE, step, score)

    def _write(self, node: int, action: int, step: Step, score: float) -> None:
        record, prefix = self._nodes[node], self._prefixes[node]
        self._texts[node][action] = step.text
        record["tokens"][action], record["prompt_tokens"][action] = step.tokens, step.prompt_tokens
        record["score"][action] = score
        record["final"][action] = step.is_final or prefix.depth + 1 == self.max_steps
        if record["final"][action]:
            answer = solution_answer([*([prefix.text] if prefix.parent else []), step.text])
            self._answers[node][action] = answer
            strict, correct = self._judge(answer, self.problem(int(record["root"])))
            record["correct_strict"][action], record["correct"][action] = strict, correct
            record["child"][action] = ENDS

    def _models(self) -> ModelPair:
        if self.pair is None:
            raise StoreError("a router left the explored part of the trees, and no models were given to go on")
        return self.pair

    def _make_room(self, count: int) -> None:
        self._count += count
        if self._count > len(self._nodes):
            grown = np.empty(max(self._count, 2 * len(self._nodes), 1024), NODE)
            grown[: len(self._nodes)] = self._nodes
            self._nodes = grown

    # --- on disk ------------------------------------------------------------------------

    def table(self) -> pd.DataFrame:
        """Lay the nodes out as a table; names that end in _draft and _strong come in pairs."""
        import pandas as pd

        nodes, roots = self.nodes, self.nodes["root"].tolist()
        columns: dict[str, Any] = {
            "problem_id": [self.problem(tree).id for tree in roots],
            "replicate": [self.replicate(tree) for tree in roots],
        }
        columns |= {name: nodes[name] for name in ("parent", "position", "prm_tokens")}
        for action, who in enumerate(("draft", "strong")):
            columns |= {f"{name}_{who}": nodes[name][:, action] for name in PAIRED}
            columns[f"text_{who}"] = [texts[action] for texts in self._texts]
            columns[f"answer_{who}"] = [answers[action] for answers in self._answers]
        return pd.DataFrame(columns)

    def load(self, table: pd.DataFrame) -> RolloutTrees:
        """Take over the nodes that `table` laid out, and return the trees; there must be none yet.

        Raises
        ------
        InputError
            If the nodes are of other problems, or lead out of the table.
        """
        assert not self._count, "only where there are no nodes yet is a table taken over"
        index = {problem.id: i for i, problem in enumerate(self.problems)}
        farthest = table[["parent", "child_draft", "child_strong"]].to_numpy().max(initial=UNKNOWN)
        if farthest >= len(table) or not table["problem_id"].isin(list(index)).all():
            raise InputError("rollout trees: nodes are missing, or of other problems; delete them and run again")
        self._make_room(len(table))
        nodes = self.nodes
        nodes["root"] = table["problem_id"].map(index).to_numpy() * self.replicates + table["replicate"].to_numpy()
        for name in ("parent", "position", "prm_tokens"):
            nodes[name] = table[name]
        for action, who in enumerate(("draft", "strong")):
            for name in PAIRED:
                nodes[name][:, action] = table[f"{name}_{who}"]
        texts, answers = (
            table[[f"{name}_draft", f"{name}_strong"]].astype(object).where(lambda cells: cells.notna(), None)
            for name in ("text", "answer")
        )
        self._texts, self._answers = texts.to_numpy().tolist(), answers.to_numpy().tolist()
        planted = np.flatnonzero(nodes["parent"] == UNKNOWN)
        self._roots[nodes["root"][planted]] = planted
        return self
