"""What Optuna does for a sweep: propose a trial's values and say when to stop it.

Optuna keeps nothing. Its study is rebuilt in memory from the trials that have ended, and its sampler is seeded with the
sweep's seed and the trial's number: what it proposes is a function of those alone, so a killed sweep loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from histoblend.errors import MachineRefusal
from histoblend.searching.space import Values
from histoblend.searching.sweep_config import Parameter, Sweep
from histoblend.searching.trial_records import Trial

if TYPE_CHECKING:
    import optuna

LEAST_OPTUNA = "4.0"


def check_optuna() -> None:
    """Refuse where Optuna is missing.

    Raises:
        MachineRefusal: it is.
    """
    try:
        import optuna
    except ImportError as error:
        raise MachineRefusal(
            f"A sweep needs Optuna, and it cannot be imported: {error}.",
            f"optuna {LEAST_OPTUNA} or later",
            f"python -m pip install 'optuna>={LEAST_OPTUNA}' (with --no-deps: colorlog, packaging and tqdm too)",
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)


class Proposal:
    """Values to try, and whether to go on after each epoch."""

    def __init__(self, trial: optuna.trial.Trial, values: Values) -> None:
        self._trial, self.values = trial, values

    def hopeless(self, epoch: int, auc: float) -> bool:
        """Whether a trial that has reached `auc` after `epoch` epochs (from 1) is to be stopped."""
        self._trial.report(auc, epoch)
        return bool(self._trial.should_prune())


def propose(sweep: Sweep, epochs: int, ended: Sequence[Trial], first: Values | None) -> Proposal:
    """The next trial after those that have `ended`; the very first is `first`, the base's own values, if given.

    Args:
        epochs: length of a trial, by which the pruner is laid out.
    """
    import optuna

    number = len(ended)
    seed = (sweep.seed * 1_000_003 + number) % 2**32
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=sweep.random_trials)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=_pruner(sweep, epochs))
    distributions = {key: _distribution(parameter) for key, parameter in sweep.parameters.items()}
    for one in ended:
        study.add_trial(_remembered(one, sweep, distributions))
    if not ended and first is not None:
        study.enqueue_trial(_as_optuna(first, sweep))
    trial = study.ask(distributions)
    return Proposal(trial, _as_values(trial.params, sweep))


def _pruner(sweep: Sweep, epochs: int) -> optuna.pruners.BasePruner:
    import optuna

    if sweep.pruner == "none":
        return optuna.pruners.NopPruner()
    # Early on, under a rising learning rate, the AUC says little.
    return optuna.pruners.MedianPruner(n_startup_trials=sweep.random_trials, n_warmup_steps=epochs // 3)


def _distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    import optuna

    low, high, step = parameter.low, parameter.high, parameter.step
    if parameter.choices is not None:
        return optuna.distributions.CategoricalDistribution([json.dumps(one) for one in parameter.choices])
    assert low is not None and high is not None
    if parameter.whole:
        return optuna.distributions.IntDistribution(
            int(low), int(high), log=parameter.log, step=int(step or 1)
        )
    return optuna.distributions.FloatDistribution(float(low), float(high), log=parameter.log, step=step)


def _as_optuna(values: Values, sweep: Sweep) -> dict[str, Any]:
    """Optuna's categories are words: choices of any kind are written as JSON."""
    result = {}
    for key, parameter in sweep.parameters.items():
        value = parameter.spelled(values[key])
        result[key] = value if parameter.choices is None else json.dumps(value)
    return result


def _as_values(params: dict[str, Any], sweep: Sweep) -> Values:
    chosen = {key for key, parameter in sweep.parameters.items() if parameter.choices is not None}
    return {key: json.loads(params[key]) if key in chosen else params[key] for key in sweep.parameters}


def _remembered(
    one: Trial, sweep: Sweep, distributions: dict[str, optuna.distributions.BaseDistribution]
) -> optuna.trial.FrozenTrial:
    """An ended trial as Optuna knows it.

    A failed one is told as stopped before its first epoch: TPE ranks such below all others, and keeps away from
    them. Of Optuna's own failed trials it would learn nothing, and try the like again.
    """
    import optuna

    states, failed = optuna.trial.TrialState, one.state == "failed"
    return optuna.trial.create_trial(
        state=states.COMPLETE if one.state == "finished" else states.PRUNED,
        value=one.objective,
        params=_as_optuna(one.values, sweep),
        distributions=distributions,
        intermediate_values={} if failed else dict(enumerate(one.aucs, 1)),
    )
