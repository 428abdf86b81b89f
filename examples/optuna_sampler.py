"""A search of hwnas inside an Optuna study: your objective, your loop, LaMOO's proposals.

Trades the made-up error of a small network against its multiply-accumulates. These are known before anything is
trained: told so, the sampler does not spend trials on learning them.
"""

import sys

import optuna

from hwnas.study.sampler import HwnasSampler


def macs(params: dict[str, int]) -> float:
    """Multiply-accumulates of a chain of convolutions, in millions."""
    return 1e-6 * params["depth"] * params["width"] ** 2 * params["kernel"] ** 2 * 16**2


def objective(trial: optuna.Trial) -> tuple[float, float]:
    depth = trial.suggest_int("depth", 1, 8)
    width = trial.suggest_int("width", 8, 64, step=8)
    kernel = trial.suggest_categorical("kernel", [3, 5, 7])
    activation = trial.suggest_categorical("activation", ["relu", "hswish", "tanh"])
    error = 0.5 / depth + 4 / width + {3: 0.06, 5: 0.02, 7: 0.03}[kernel] + 0.05 * (activation == "tanh")
    return error, macs(trial.params)


def main(trials: int = 40) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=HwnasSampler("lamoo", known={1: macs}))
    study.optimize(objective, n_trials=trials)
    for trial in sorted(study.best_trials, key=lambda entry: entry.values[1]):
        print(f"error {trial.values[0]:.3f}  {trial.values[1]:7.2f} M  {trial.params}")
    return study


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
