"""`trim solve`: one problem on the terminal, each step as it is written."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trim.deploy.answering import Answering, Reason, ToldStep, dollars

COLOURS = {"weak": "cyan", "strong": "magenta"}
SIGNS = {
    Reason.KEPT: "kept",
    Reason.ROUTER: "written again",
    Reason.UNDRAFTED: "not drafted",
    Reason.PRM_DOWN: "no score",
    Reason.BUDGET: "kept: budget",
}


def show(answering: Answering, console: Console, *, drafts: bool = False) -> None:
    """Solve a problem and print it: steps in the colour of their author, then the answer and what it cost.

    Parameters
    ----------
    drafts
        Whether drafts that were thrown away are shown too.
    """
    console.print(Padding(Text(answering.problem.text), (0, 0, 1, 0)))
    asyncio.run(_show_steps(answering, console, drafts))
    answer = answering.episode.answer
    reference = answering.problem.answer
    console.print(f"answer: {answer if answer is not None else 'none'}", markup=False, highlight=False)
    if reference:
        console.print(f"reference: {reference}", markup=False, highlight=False)
    console.print(f"model {answering.point.router} at {answering.point.setting:g}, seed {answering.seed}", markup=False)
    console.print(_costs(answering))


async def _show_steps(answering: Answering, console: Console, drafts: bool) -> None:
    async for step in answering.steps():
        if drafts and step.draft is not None and step.author == "strong":
            console.print(Padding(Text(step.draft.strip(), style="dim strike"), (0, 0, 0, 2)))
        console.print(_head(step))
        console.print(Padding(Text(step.text.strip(), style=COLOURS[step.author]), (0, 0, 0, 2)))


def _head(step: ToldStep) -> Text:
    score = "score    –" if step.score is None else f"score {step.score:.2f}"
    head = Text(f"{step.position + 1:>2} ")
    head.append(f"{step.author:<6}", style=f"bold {COLOURS[step.author]}")
    return head.append(f"  {score}  {SIGNS[step.reason]}  ").append(step.why, style="dim")


def _costs(answering: Answering) -> Table:
    costs = asdict(answering.costs)
    table = Table("tokens", "written", "thrown away", "read", "calls")
    for role, written, thrown in (("strong", "strong_tokens", ""), ("weak", "weak_tokens", "discarded_tokens")):
        names = (written, thrown, f"{role}_input_tokens", f"{role}_calls")
        table.add_row(role, *(f"{costs[name]}" if name else "" for name in names))
    table.add_row("PRM", "", "", f"{costs['prm_tokens']}", f"{costs['prm_calls']}")
    for name, paid in dollars(answering.opened.deployed.manifest, answering.costs).items():
        table.add_row(f"${paid:.6f} at prices.{name}")
    return table
