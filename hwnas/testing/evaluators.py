"""What an evaluator must do, as tests: subclass ``EvaluatorConformance`` in your own tests and say how to make one."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from hwnas.core import Architecture, Evaluator
from hwnas.spaces import SearchSpace


class EvaluatorConformance:
    """Tests that every evaluator must pass.

    Attributes:
        spawns: Whether the evaluator claims that it can be sent to a process that was started afresh.
        architectures: How many the tests evaluate; a space of fewer gives them all.
        full_accuracy: Accuracy where everything is right: 1, or 100 for a published benchmark that speaks in percent.
    """

    spawns = False
    architectures = 3
    full_accuracy = 1.0

    def make_evaluator(self) -> Evaluator:
        """The evaluator to be tested; give this one."""
        raise NotImplementedError(
            "say how to make the evaluator: def make_evaluator(self): return MyEvaluator(), the same each time"
        )

    def make_space(self) -> SearchSpace:
        """The space whose architectures it evaluates; give this one, too."""
        raise NotImplementedError("say what it evaluates: def make_space(self): return hwnas.spaces.mobilenet_space()")

    def test_values_are_finite_numbers_by_name(self) -> None:
        """It is an ``Evaluator``; what it says can be recorded as JSON, and an accuracy lies between 0 and full."""
        evaluator = self.make_evaluator()
        assert isinstance(evaluator, Evaluator), "it lacks `evaluate`"
        for architecture in self._drawn():
            values = evaluator.evaluate(architecture)
            assert isinstance(values, Mapping), f"expected values by name, received {type(values).__name__}"
            assert values, "expected at least one value"
            for name, value in values.items():
                assert isinstance(name, str), f"expected a name, received {name!r}"
                assert isinstance(value, float | int), f"{name}: expected a number, received {type(value).__name__}"
                assert math.isfinite(value), f"{name}: expected a finite number, received {value}"
            json.dumps(dict(values), allow_nan=False)
            accuracy, full = values.get("accuracy", 0), self.full_accuracy
            assert 0 <= accuracy <= full, f"accuracy: expected 0 to {full:g}, received {accuracy}"

    def test_the_same_architecture_has_the_same_values(self) -> None:
        """Asked twice, and from another instance."""
        kept = self.make_evaluator()
        architecture = self._drawn()[0]
        answers = [_lasting(one.evaluate(architecture)) for one in (kept, kept, self.make_evaluator())]
        assert answers[0] == answers[1], "asked again it says something else: it must draw from a seed of its own"
        assert answers[0] == answers[2], "another instance of the same settings says something else"

    def test_what_was_evaluated_before_does_not_matter(self) -> None:
        """Forwards and backwards."""
        drawn = self._drawn()
        forwards, backwards = self.make_evaluator(), self.make_evaluator()
        there = [_lasting(forwards.evaluate(one)) for one in drawn]
        back = [_lasting(backwards.evaluate(one)) for one in reversed(drawn)]
        assert there == back[::-1], "the value of an architecture depends on what was evaluated before it"

    def test_global_random_states_are_left_alone(self) -> None:
        """Neither drawn from nor set: numpy's, torch's and Python's."""
        evaluator, drawn = self.make_evaluator(), self._drawn()
        before = _random_states()
        for architecture in drawn:
            evaluator.evaluate(architecture)
        for name, state in _random_states().items():
            assert state == before[name], f"the global random state of {name} was changed: use a generator of your own"

    def test_another_process_says_the_same(self) -> None:
        """Where the evaluator claims that it can be sent there."""
        if not self.spawns:
            return
        evaluator, architecture = self.make_evaluator(), self._drawn()[0]
        here = _lasting(evaluator.evaluate(architecture))
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            there = _lasting(pool.submit(evaluator.evaluate, architecture).result())
        assert here == there, "another process says something else"

    def _drawn(self) -> Sequence[Architecture]:
        """Different architectures, the same ones every time."""
        space, rng = self.make_space(), np.random.default_rng(7)
        found: dict[str, Architecture] = {}
        while len(found) < min(self.architectures, space.size):
            one = space.sample(rng)
            found[one.id] = one
        return list(found.values())


def _lasting(values: Mapping[str, float]) -> dict[str, float]:
    """What has to be the same each time: all but seconds."""
    return {name: value for name, value in values.items() if not name.endswith("_s")}


def _random_states() -> dict[str, Any]:
    """The states of the random generators that are shared by the whole process, comparable."""
    import torch  # noqa: PLC0415  (whoever tests a searcher does not need it)

    state: Any = np.random.get_state()  # noqa: NPY002  (the global generator is the point)
    _, keys, *rest = state
    return {
        "numpy": (keys.tolist(), rest),
        "torch": torch.get_rng_state().tolist(),
        "Python": random.getstate(),
    }
