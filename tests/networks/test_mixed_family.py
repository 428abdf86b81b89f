"""Networks of several precisions: their parts and costs are those of the precision that each chose."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from hwnas.core import UsageError
from hwnas.networks import MixedFamily, NetworkCosts, NetworkFamily, network_family
from hwnas.spaces import PRECISION, ArchitectureCodes, precision_of, without_precision
from latency_tables import Coordinates

PRECISIONS = ("fp32", "int8")


@pytest.fixture(params=["mobilenet:tiny", "gpunet:tiny", "nasbench201"])
def mixed(request: pytest.FixtureRequest) -> NetworkFamily:
    return network_family(request.param, precisions=PRECISIONS)


def test_fp32_alone_is_no_choice() -> None:
    for precisions in ((), ("fp32",)):
        family = network_family("mobilenet:tiny", precisions=precisions)
        assert not isinstance(family, MixedFamily)
        assert not family.members
        assert family.of(family.space.sample(np.random.default_rng(0))) is family
    assert set(network_family("mobilenet:tiny", precisions=["int8"]).members) == {"int8"}


def test_a_network_has_the_parts_of_its_precision_and_the_weights_of_its_twin(mixed: NetworkFamily) -> None:
    one = mixed.space.sample(np.random.default_rng(1))
    network = without_precision(one)
    for name in PRECISIONS:
        twin = mixed.space.architecture({**network, PRECISION: name})
        member = mixed.at(batch=1, precision=name)
        assert mixed.of(twin).coordinates == Coordinates(precision=name)
        assert mixed.block_keys(twin) == member.block_keys(network)
        workload = mixed.workload(twin)
        assert tuple(workload.parts.values()) == member.block_keys(network)
        assert workload.name.startswith(twin.id)
        assert workload.model == member.workload(network).model
    first, second = (mixed.module(one, seed=3), mixed.of(one).module(network, seed=3))
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_costs_by_definition_are_those_of_the_precision(mixed: NetworkFamily) -> None:
    rng = np.random.default_rng(2)
    held = [mixed.space.sample(rng) for _ in range(30)]
    found = NetworkCosts(mixed).values(ArchitectureCodes(mixed.space).encode(held))
    for i, one in enumerate(held):
        member = mixed.of(one)
        own = NetworkCosts(member).values(ArchitectureCodes(member.space).encode([without_precision(one)]))
        assert {name: values[i] for name, values in found.items()} == {name: v[0] for name, v in own.items()}
    assert all(
        len(values) == 0 for values in NetworkCosts(mixed).values(ArchitectureCodes(mixed.space).encode([])).values()
    )


def test_weights_of_int8_take_a_byte(mixed: NetworkFamily) -> None:
    network = without_precision(mixed.space.sample(np.random.default_rng(3)))
    twins = [mixed.space.architecture({**network, PRECISION: name}) for name in PRECISIONS]
    found = NetworkCosts(mixed).values(ArchitectureCodes(mixed.space).encode(twins))
    assert found["weights_mib"][1] < 0.5 * found["weights_mib"][0]
    assert found["activations_mib"][1] == found["activations_mib"][0] / 4
    assert found["macs_m"][0] == found["macs_m"][1]


def test_what_covers_the_space_covers_it_in_every_precision(mixed: NetworkFamily) -> None:
    held = mixed.covering()
    assert {precision_of(one) for one in held} == set(PRECISIONS)
    assert all(mixed.space.architecture(one) == one for one in held)
    assert len(held) == 2 * len(mixed.workloads())
    names = {workload.name for workload in mixed.references()}
    assert names == {workload.name for workload in mixed.at(batch=1, precision="fp32").references()}


def test_a_mixed_family_has_no_coordinates_and_travels_to_other_processes(mixed: NetworkFamily) -> None:
    for ask in (lambda: mixed.coordinates, lambda: mixed.key_shares):
        with pytest.raises(UsageError, match="ask the members of the family"):
            ask()
    again = pickle.loads(pickle.dumps(mixed))  # noqa: S301  (made a moment ago)
    one = mixed.space.sample(np.random.default_rng(4))
    assert again.block_keys(one) == mixed.block_keys(one)
