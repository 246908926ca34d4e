import torch

from groundglass.systems.ss_inf_net.pretext import Config, start

SETTINGS = {"encoder": "mobilenet_v2", "encoder_weights": "none", "width": 8, "coarse_width": 16}


def test_inf_net_paints_edges_and_four_times_the_slice() -> None:
    pretext = start(Config.model_validate({"system": "ss_inf_net", **SETTINGS}))
    gray = torch.rand(2, 1, 64, 96)
    maps, targets = pretext.inpaint(gray), pretext.targets(gray)
    assert [m.shape for m in maps] == [t.shape for t in targets] == [gray.shape] * 5
    edges, *slices = targets
    assert all(target.equal(gray * 2 - 1) for target in slices)
    assert edges.min() >= 0
    assert maps[-1].min() < 0  # linear, not squeezed into 0 to 1


def test_the_second_network_paints_the_slice_thrice() -> None:
    kinds = {"stage": "kinds", "kinds_encoder": "mobilenet_v2", "kinds_channels": (8,) * 5}
    pretext = start(Config.model_validate({"system": "ss_inf_net", **SETTINGS, **kinds}))
    gray = torch.rand(2, 1, 64, 96)
    painted, targets = pretext.inpaint(gray), pretext.targets(gray)
    assert [m.shape for m in painted] == [t.shape for t in targets] == [gray.shape] * 3
    before = {name: value.clone() for name, value in pretext.network.state_dict().items()}
    pretext.reset_outputs()
    after = pretext.network.state_dict()
    changed = {name for name, value in before.items() if not value.equal(after[name])}
    assert all(name.startswith("kinds.body.segmentation_head") for name in changed)
    assert changed


def test_its_outputs_are_drawn_anew_and_nothing_else() -> None:
    pretext = start(Config.model_validate({"system": "ss_inf_net", **SETTINGS}))
    before = {name: value.clone() for name, value in pretext.network.state_dict().items()}
    pretext.reset_outputs()
    after = pretext.network.state_dict()
    changed = {name for name, value in before.items() if not value.equal(after[name])}
    assert len(changed) == 10
    assert all(".output." in name for name in changed)
