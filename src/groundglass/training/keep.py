"""What is kept of a network when it is finished: weights, and the card that makes it a system."""

from importlib import import_module

from groundglass.data.cohort import Cohort
from groundglass.systems.card import Weights, load_card, write_card
from groundglass.training.config import RunConfig
from groundglass.training.module import SystemModule
from groundglass.training.run import Run, save_weights


def keep_network(run: Run, config: RunConfig, module: SystemModule, cohort: Cohort) -> None:
    """Write weights and card of a run, whose config is there.

    A system whose card says what is known once the weights are final, such as thresholds chosen on
    the validation split, has a function ``settle(module, card, cases)`` beside its ``Module``.

    Args:
        run: The run.
        config: Its settings.
        module: Its network, with the weights that are kept.
        cohort: Its cases.
    """
    parts = import_module(f"groundglass.systems.{config.system}.training")
    weights = Weights(
        file=run.weights.name,
        sha256=save_weights(module.network, run.weights),
        parameters_m=round(sum(p.numel() for p in module.network.parameters()) / 1e6, 2),
        license="as the training data allow",
        trained_on=f"{run.folder.name}/cohort.csv",
        seed=config.seed,
        config=parts.Config.load(run.config, []).digest(),  # threads may differ since
    )
    card = load_card(config.system)
    card = card.model_copy(
        update={
            "answers": config.answers() or card.answers,
            "network": config.network_settings(),
            "size_px": config.size_px,
            "lesion_threshold": config.lesion_threshold,
            "metrics": {},
            "weights": weights,
        }
    )
    if hasattr(parts, "settle"):
        card = parts.settle(module, card, [c for c in cohort.cases if c.split == "val"])
    write_card(card, run.card)
