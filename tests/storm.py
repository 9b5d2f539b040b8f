"""A chain as a model of Storm, which solves it in ways of its own: the oracle of the forecasts."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from saga_fsm.machine import Status
from saga_fsm.quant._figures import Asking, Column
from saga_fsm.quant._solve import Question


NAMES = {Status.COMPLETED: "completed", Status.COMPENSATED: "compensated", Status.STUCK: "stuck"}


class Storm:
    """
    One chain in Storm, exact or in doubles.

    Args:
        asking: the chain and the odds.
        costs: columns of means, by name; of each, the least and the most that edges may cost.
        exact: rational numbers; every odds is the very fraction that the float is.
    """

    def __init__(self, asking: Asking, costs: dict[str, Column], *, exact: bool) -> None:
        import stormpy
        from stormpy import datastructures, models

        self.stormpy = stormpy
        kind: Any = stormpy.Rational if exact else float
        self.chain = chain = asking.chain
        self.mdp = chain.widest > 1
        asked = asking.question(list(costs.values()))
        matrix = self._matrix(datastructures, kind, asked, exact=exact)
        labeling = models.StateLabeling(chain.states)
        for label in ("init", "rest", *NAMES.values()):
            labeling.add_label(label)
        labeling.add_label_to_state("init", 0)
        for state, (status, _) in chain.rests.items():
            labeling.add_label_to_state("rest", state)
            labeling.add_label_to_state(NAMES[status], state)
        rewards = {
            f"{side}_{name}": models.SparseRewardModel[kind](
                optional_state_action_reward_vector=self._rewards(asked, cost[:, k], exact=exact)
            )
            for k, name in enumerate(costs)
            for side, cost in (("low", asked.low), ("high", asked.high))
        }
        parts = models.SparseModelComponents[kind](
            transition_matrix=matrix, state_labeling=labeling, reward_models=rewards
        )
        self.environment = self._environment(exact=exact)
        self.model = (models.SparseMdp if self.mdp else models.SparseDtmc)[kind](parts)

    def _environment(self, *, exact: bool) -> Any:
        """Sound methods, and more digits than Storm's own 1e-6."""
        environments = self.stormpy.environments
        if exact:
            return environments.exact()
        environment = environments.sound()
        solver = environment.solver()
        for part in (solver.native(), solver.min_max()):
            part.precision = self.stormpy.Rational("1/1000000000000")
        return environment

    def _odds(self, asked: Question, choice: int, *, exact: bool) -> list[tuple[int, Any, int]]:
        """The edges of a choice: target, odds that add up to 1, label."""
        chain = self.chain
        edges = range(chain.edges[choice], chain.edges[choice + 1])
        odds: list[Any] = [asked.odds[chain.label[e], 0] for e in edges]
        if exact:
            odds = [Fraction(float(x)) for x in odds]
            total = sum(odds)
            odds = [x / total for x in odds]
        return [(chain.target[e], x, chain.label[e]) for e, x in zip(edges, odds, strict=True)]

    def _matrix(self, datastructures: Any, kind: Any, asked: Question, *, exact: bool) -> Any:
        chain = self.chain
        build: Any = datastructures.SparseMatrixBuilder[kind](
            force_dimensions=False, has_custom_row_grouping=self.mdp
        )
        one = self._number(Fraction(1), exact=exact)
        row = 0
        for state in range(chain.states):
            if self.mdp:
                build.new_row_group(row)
            choices = range(chain.choices[state], chain.choices[state + 1])
            if not choices:
                build.add_next_value(row, state, one)
                row += 1
            for choice in choices:
                merged: dict[int, Any] = {}
                for target, odds, _ in self._odds(asked, choice, exact=exact):
                    merged[target] = merged.get(target, 0) + odds
                for target, odds in sorted(merged.items()):
                    if odds:
                        build.add_next_value(row, target, self._number(odds, exact=exact))
                row += 1
        return build.build()

    def _rewards(self, asked: Question, each: Any, *, exact: bool) -> list[Any]:
        """The mean cost of each row; nothing in a state that rests."""
        chain, rewards = self.chain, []
        for state in range(chain.states):
            choices = range(chain.choices[state], chain.choices[state + 1])
            if not choices:
                rewards.append(self._number(0, exact=exact))
            for choice in choices:
                edges = self._odds(asked, choice, exact=exact)
                exactly = Fraction if exact else float
                cost = sum((odds * exactly(each[label]) for _, odds, label in edges), exactly(0))
                rewards.append(self._number(cost, exact=exact))
        return rewards

    def _number(self, value: Any, *, exact: bool) -> Any:
        if not exact:
            return float(value)
        whole = Fraction(value)
        return self.stormpy.Rational(f"{whole.numerator}/{whole.denominator}")

    def probability(self, status: Status, *, most: bool) -> float:
        """The chance to rest so."""
        return self._ask("P", f'[F "{NAMES[status]}"]', most=most)

    def mean(self, name: str, *, most: bool) -> tuple[float, float]:
        """The mean of a cost until rest, were edges to cost the least and the most."""
        low, high = (
            self._ask(f'R{{"{side}_{name}"}}', '[F "rest"]', most=most) for side in ("low", "high")
        )
        return low, high

    def _ask(self, operator: str, path: str, *, most: bool) -> float:
        sense = ("max" if most else "min") if self.mdp else ""
        text = f"{operator}{sense}=? {path}"
        formula = self.stormpy.parse_properties(text)[0]
        found = self.stormpy.model_checking(
            self.model, formula, only_initial_states=True, environment=self.environment
        )
        value = found.get_value(self.model.initial_states[0])
        return float(Fraction(str(value))) if not isinstance(value, float) else value
