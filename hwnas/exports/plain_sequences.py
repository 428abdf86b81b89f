"""Recurrent layers as readable Python that needs PyTorch and nothing else; see ``plain_module``."""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.networks.factorised import BlockTermMap, DenseMap, LinearMap, LowRankMap, TensorTrainMap
from hwnas.networks.sequences import FusedSteps, Project, Steps

_DENSE = '''
class Dense(nn.Module):
    """A matrix and a bias."""

    def __init__(self, read, written):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(read, written))
        self.bias = nn.Parameter(torch.empty(written))

    def forward(self, x):
        return torch.addmm(self.bias, x.reshape(-1, self.weight.shape[0]), self.weight)
'''

_LOW_RANK = '''
class LowRank(nn.Module):
    """Two thin matrices and a bias."""

    def __init__(self, read, written, rank):
        super().__init__()
        self.narrow = nn.Parameter(torch.empty(read, rank))
        self.wide = nn.Parameter(torch.empty(rank, written))
        self.bias = nn.Parameter(torch.empty(written))

    def forward(self, x):
        return torch.addmm(self.bias, x.reshape(-1, self.narrow.shape[0]) @ self.narrow, self.wide)
'''

_TENSOR_TRAIN = '''
class TensorTrain(nn.Module):
    """A core for each mode of what is read and written, contracted one after another, and a bias."""

    def __init__(self, read, written, rank):
        super().__init__()
        self.read, self.written = read, written
        self.ranks = [1, *[rank] * (len(read) - 1), 1]
        ends = zip(read, written, self.ranks, self.ranks[1:])
        self.cores = nn.ParameterList(nn.Parameter(torch.empty(j * r, i * s)) for j, i, r, s in ends)
        self.bias = nn.Parameter(torch.empty(math.prod(written)))

    def forward(self, x):
        rest = math.prod(self.read)
        for k, core in enumerate(self.cores):
            mode, rank = self.read[k], self.ranks[k]
            rest //= mode
            x = x.reshape(-1, mode, rest * math.prod(self.written[:k]), rank).transpose(1, 2)
            x = x.reshape(-1, mode * rank) @ core
        return x.reshape(-1, math.prod(self.written)) + self.bias
'''

_BLOCK_TERM = '''
class BlockTerm(nn.Module):
    """A sum of Tucker terms over the modes of what is read and written, contracted one after another, and a bias."""

    def __init__(self, read, written, rank, blocks):
        super().__init__()
        self.read, self.written, self.rank, self.blocks = read, written, rank, blocks
        shapes = [(read[0], blocks * written[0] * rank)]
        shapes += [(blocks, j, i * rank) for j, i in zip(read[1:-1], written[1:-1])]
        shapes += [(blocks, rank, read[-1] * written[-1])]
        self.factors = nn.ParameterList(nn.Parameter(torch.empty(shape)) for shape in shapes)
        self.core = nn.Parameter(torch.empty(blocks, rank ** (len(read) - 1), rank))
        self.bias = nn.Parameter(torch.empty(math.prod(written)))

    def forward(self, x):
        read, written, rank, blocks = self.read, self.written, self.rank, self.blocks
        rest = math.prod(read[1:])
        x = x.reshape(-1, read[0], rest).transpose(1, 2).reshape(-1, read[0]) @ self.factors[0]
        rest //= read[1]
        x = x.reshape(-1, read[1], rest, blocks, written[0] * rank).permute(3, 0, 2, 4, 1)
        for k in range(1, len(read) - 1):
            x = torch.bmm(x.reshape(blocks, -1, read[k]), self.factors[k])
            rest //= read[k + 1]
            done = math.prod(written[: k + 1]) * rank ** (k + 1)
            x = x.reshape(-1, read[k + 1], rest * done).transpose(1, 2)
        pairs = [size for mode in written[:-1] for size in (mode, rank)]
        x = x.reshape(blocks, -1, *pairs, read[-1])
        x = x.permute(1, *range(2, 2 + len(pairs), 2), 0, *range(3, 2 + len(pairs), 2), 2 + len(pairs))
        last = torch.bmm(self.core, self.factors[-1]).reshape(-1, written[-1])
        return (x.reshape(-1, last.shape[0]) @ last).reshape(-1, math.prod(written)) + self.bias
'''

_PROJECT = '''
class Project(nn.Module):
    """A linear map of every frame: (batch, frames, height, width) to (batch, frames, written)."""

    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, x):
        return self.linear(x).reshape(-1, x.shape[1], self.linear.bias.shape[0])
'''

_STEPS = '''
class Steps(nn.Module):
    """A recurrent cell from the first frame to the last: "lstm", "gru" or "rnn"; gives back its last state."""

    def __init__(self, cell, hidden):
        super().__init__()
        gates = {"lstm": 4, "gru": 3, "rnn": 1}[cell]
        self.weight = nn.Parameter(torch.empty(hidden, gates * hidden))
        self.cell, self.hidden = cell, hidden

    def forward(self, x):
        state = x.new_zeros(x.shape[0], self.hidden)
        memory = state
        for read in x.unbind(1):
            held = state @ self.weight
            if self.cell == "rnn":
                state = torch.tanh(read + held)
            elif self.cell == "gru":
                sizes = [2 * self.hidden, self.hidden]
                (gates, new), (held_gates, held_new) = read.split(sizes, 1), held.split(sizes, 1)
                reset, update = torch.sigmoid(gates + held_gates).chunk(2, 1)
                new = torch.tanh(new + reset * held_new)
                state = new + update * (state - new)
            else:
                gates, new = (read + held).split([3 * self.hidden, self.hidden], 1)
                enter, keep, leave = torch.sigmoid(gates).chunk(3, 1)
                memory = keep * memory + enter * torch.tanh(new)
                state = leave * torch.tanh(memory)
        return state
'''

_FUSED = '''
class FusedSteps(nn.Module):
    """A linear map of every frame and an LSTM or GRU over them; gives back its last state. A rank makes it two maps."""

    def __init__(self, cell, read, hidden, rank=None):
        super().__init__()
        self.narrow = None if rank is None else nn.Parameter(torch.empty(read, rank))
        self.cell = cell(rank or read, hidden)

    def forward(self, x):
        frames = x.shape[1]
        if self.narrow is not None:
            x = x.reshape(-1, self.narrow.shape[0]) @ self.narrow
        _, last = self.cell(x.reshape(-1, frames, self.cell.input_size).transpose(0, 1))
        return (last[0] if isinstance(last, tuple) else last)[0]
'''

HELPERS: Mapping[type[LinearMap | FusedSteps | Project | Steps], str] = {
    DenseMap: _DENSE,
    LowRankMap: _LOW_RANK,
    TensorTrainMap: _TENSOR_TRAIN,
    BlockTermMap: _BLOCK_TERM,
    FusedSteps: _FUSED,
    Project: _PROJECT,
    Steps: _STEPS,
}
"""Kind of layer or map, to the class that a file needs for it."""


def project_call(layer: Project) -> str:
    """The expression that makes a map of every frame."""
    return f"Project({_map_call(layer.mapped)})"


def fused_call(layer: FusedSteps) -> str:
    """The expression that makes map and steps in one."""
    rank = f", rank={layer.read}" if isinstance(layer.mapped, LowRankMap) else ""
    return f"FusedSteps(nn.{layer.cell.upper()}, {layer.mapped.in_features}, {layer.hidden}{rank})"


def steps_call(layer: Steps) -> str:
    """The expression that makes the steps from frame to frame."""
    return f'Steps("{layer.cell}", {layer.hidden})'


def _map_call(mapped: LinearMap) -> str:
    if isinstance(mapped, DenseMap):
        return f"Dense({mapped.in_features}, {mapped.out_features})"
    if isinstance(mapped, LowRankMap):
        return f"LowRank({mapped.in_features}, {mapped.out_features}, {mapped.rank})"
    modes = f"{list(mapped.in_modes)}, {list(mapped.out_modes)}, {mapped.rank}"
    return f"BlockTerm({modes}, {mapped.blocks})" if isinstance(mapped, BlockTermMap) else f"TensorTrain({modes})"
