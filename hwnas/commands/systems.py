"""``hwnas systems``: the published systems that are here, what each is made of, and how to see it work."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from hwnas.commands.options import AsJson
from hwnas.commands.printing import render

_TABLES = "nasbench201.parquet in HWNAS_DATA"


@dataclass(frozen=True, kw_only=True)
class System:
    """A published system.

    Attributes:
        name: As its authors call it.
        paper: Where it stands.
        parts: What it is made of here.
        needs: What it cannot do without.
        command: Shows it working.
        page: Of the documentation.
    """

    name: str
    paper: str
    parts: str
    needs: str
    command: str
    page: str


SYSTEMS = (
    System(
        name="LaMOO",
        paper="Zhao et al., ICLR 2022",
        parts="partition tree (dominance, kernel boundary, hypervolume) and any inner searcher",
        needs="nothing",
        command="hwnas search --target latency --algorithm lamoo --inner grey-ehvi",
        page="docs/systems/lamoo.md",
    ),
    System(
        name="LA-MCTS",
        paper="Wang et al., NeurIPS 2020, https://arxiv.org/abs/2007.00708",
        parts="partition tree (clusters, kernel boundary, mean) and any inner searcher",
        needs="nothing",
        command="python benchmarks/search/single_objective.py",
        page="docs/systems/la-mcts.md",
    ),
    System(
        name="LaNAS",
        paper="Wang et al., TPAMI 2021, https://arxiv.org/abs/1906.06832",
        parts="partition tree (linear regression, fixed height, mean) and random draws",
        needs=_TABLES,
        command="python benchmarks/search/samples_to_best.py --algorithms lanas,random",
        page="docs/systems/lanas.md",
    ),
    System(
        name="AlphaX",
        paper="Wang et al., AAAI 2020, https://arxiv.org/abs/1903.11059",
        parts="tree of decisions and a network that judges rollouts; without it, mcts",
        needs=_TABLES,
        command="python benchmarks/search/samples_to_best.py --algorithms alphax,mcts,random",
        page="docs/systems/alphax.md",
    ),
    System(
        name="PlaLaM",
        paper="Yang et al., NeurIPS 2021, https://arxiv.org/abs/2106.10544",
        parts="partition tree (codes of what came of trials, clusters, maximum) and CMA-ES begun in its regions",
        needs="nothing",
        command="python benchmarks/systems/plalam.py",
        page="docs/systems/plalam.md",
    ),
    System(
        name="Few-shot NAS",
        paper="Zhao et al., ICML 2021, https://arxiv.org/abs/2006.06863",
        parts="supernets of parts of a restricted space, and re-ranking by training",
        needs="nothing",
        command="hwnas search --target latency --evaluator few-shot --trials 500",
        page="docs/systems/few-shot.md",
    ),
    System(
        name="MODNAS",
        paper="Sukthanker et al., ICLR 2025, https://arxiv.org/abs/2402.18213",
        parts="policy of preference and device, exact expectations or draws, shortest combination of gradients",
        needs=_TABLES,
        command="hwnas search --algorithm modnas --space nasbench201 --data cifar10 --evaluator tabular "
        "--devices pixel3,gold_6240,titan_rtx_1 --unseen eyeriss",
        page="docs/systems/modnas.md",
    ),
    System(
        name="TND-NAS",
        paper="Lyu et al., 2021, https://arxiv.org/abs/2111.03892",
        parts="policy gradient as an inner searcher, and a space that shrinks",
        needs=_TABLES,
        command="python benchmarks/systems/tnd_nas.py",
        page="docs/systems/tnd-nas.md",
    ),
    System(
        name="LEMONADE",
        paper="Elsken et al., ICLR 2019, https://arxiv.org/abs/1804.09081",
        parts="densities of the known costs for parents and children, network morphisms, inherited weights",
        needs="nothing",
        command="hwnas search --target latency --algorithm lemonade --evaluator inherited",
        page="docs/systems/lemonade.md",
    ),
    System(
        name="LightNAS",
        paper="Luo et al., DAC 2022, https://arxiv.org/abs/2208.14446",
        parts="exact expectations and a multiplier that ascends, for a latency that is hit",
        needs=_TABLES,
        command="hwnas search --algorithm lightnas --space nasbench201 --data cifar10 --evaluator tabular "
        "--hit-latency 1ms --table xeon-ort-nasbench201-fp32+int8 --allow-other-device --trials 8",
        page="docs/systems/lightnas.md",
    ),
    System(
        name="DCA-NAS",
        paper="Dutta et al., 2023, https://arxiv.org/abs/2307.04443",
        parts="the same, for a limit that is not exceeded",
        needs=_TABLES,
        command="hwnas search --algorithm dca-nas --space nasbench201 --data cifar10 --evaluator tabular "
        "--max-latency 1ms --table xeon-ort-nasbench201-fp32+int8 --allow-other-device --trials 8",
        page="docs/systems/dca-nas.md",
    ),
    System(
        name="OFA²",
        paper="Ito and Von Zuben, 2023, https://arxiv.org/abs/2303.13683",
        parts="NSGA-II over accuracies that are predicted: one run for all budgets",
        needs="ofa_mbv3_accuracy_predictor.npz and ofa_note10_op_latency.parquet in HWNAS_DATA",
        command="python benchmarks/systems/ofa2.py",
        page="docs/systems/ofa2.md",
    ),
    System(
        name="GPUNet",
        paper="Wang et al., CVPR 2022, https://arxiv.org/abs/2205.00841",
        parts="a space of stages, a band of latency for each tier, LA-MCTS on several workers, and a hub of tiers",
        needs="nothing",
        command="hwnas search --target latency --space gpunet --algorithm la-mcts --min-latency 240us "
        "--max-latency 300us --workers 2",
        page="docs/systems/gpunet.md",
    ),
    System(
        name="BT-RNN",
        paper="Ye et al., CVPR 2018, https://arxiv.org/abs/1712.05134",
        parts="block-term maps in a space of recurrent networks, beside dense, low-rank and tensor-train ones",
        needs="nothing",
        command="hwnas search --target latency --space recurrent --data clips",
        page="docs/systems/bt-rnn.md",
    ),
)
"""What is here; the order is that of the documentation."""


def systems(as_json: AsJson = False) -> None:
    """List the published systems that are here: parts, paper, needs, a command, and its page."""
    told = [
        f"{one.name} ({one.paper})\n  {one.parts}\n  needs {one.needs}\n  {one.command}\n  {one.page}"
        for one in SYSTEMS
    ]
    render({"systems": [asdict(one) for one in SYSTEMS]}, "\n\n".join(told), as_json=as_json)
