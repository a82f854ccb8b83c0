"""Every optimizer, one row each. Adding one: its options, its row, a line in CHANGELOG.md.

Of torch.optim only SparseAdam is left out: it takes sparse gradients, which image models never
have.
"""

from __future__ import annotations

from dataclasses import replace

from fallline.errors import ConfigError, did_you_mean
from fallline.optim import library, options
from fallline.optim.row import OptimizerRow
from fallline.registry import Table
from fallline.space import Choice, LogUniform, Space

ADAPTIVE: Space = {
    "lr": LogUniform(3e-4, 3e-2),
    "weight_decay": LogUniform(1e-5, 1e-1),
}
SGD_LIKE: Space = {
    "lr": LogUniform(1e-2, 1.0),
    "weight_decay": LogUniform(1e-5, 5e-3),
}

OPTIMIZERS = Table(
    "optimizer",
    [
        OptimizerRow(
            "sgd",
            "stochastic gradient descent with Nesterov momentum",
            "fallline.optim.sgd:SGD",
            options.SGD,
            "Sutskever et al. 2013, https://proceedings.mlr.press/v28/sutskever13.html",
            {**SGD_LIKE, "momentum": Choice((0.8, 0.85, 0.9, 0.95))},
            fused_on=("cpu", "cuda"),
        ),
        OptimizerRow(
            "adam",
            "adaptive moments; weight decay is an L2 term in the gradient",
            "torch.optim:Adam",
            options.Adam,
            "Kingma and Ba 2015, https://arxiv.org/abs/1412.6980",
            {"lr": LogUniform(3e-4, 3e-2), "weight_decay": LogUniform(1e-6, 1e-3)},
            fused_on=("cpu", "cuda"),
        ),
        OptimizerRow(
            "adamw",
            "Adam with decoupled weight decay",
            "torch.optim:AdamW",
            options.AdamW,
            "Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101",
            ADAPTIVE,
            fused_on=("cpu", "cuda"),
        ),
        OptimizerRow(
            "nadam",
            "Adam with Nesterov momentum",
            "torch.optim:NAdam",
            options.NAdam,
            "Dozat 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ",
            {"lr": LogUniform(3e-4, 3e-2), "weight_decay": LogUniform(1e-6, 1e-3)},
        ),
        OptimizerRow(
            "radam",
            "Adam whose first steps are rectified instead of warmed up",
            "torch.optim:RAdam",
            options.RAdam,
            "Liu et al. 2020, https://arxiv.org/abs/1908.03265",
            {"lr": LogUniform(3e-4, 3e-2), "weight_decay": LogUniform(1e-6, 1e-3)},
        ),
        OptimizerRow(
            "adamax",
            "Adam in the infinity norm",
            "torch.optim:Adamax",
            options.Adamax,
            "Kingma and Ba 2015, section 7.1, https://arxiv.org/abs/1412.6980",
            {"lr": LogUniform(5e-4, 5e-2), "weight_decay": LogUniform(1e-6, 1e-3)},
        ),
        OptimizerRow(
            "adagrad",
            "rates shrink with the sum of squared gradients",
            "torch.optim:Adagrad",
            options.Adagrad,
            "Duchi, Hazan and Singer 2011, https://jmlr.org/papers/v12/duchi11a.html",
            {"lr": LogUniform(3e-3, 3e-1), "weight_decay": LogUniform(1e-6, 1e-3)},
            fused_on=("cpu",),
        ),
        OptimizerRow(
            "adadelta",
            "rates from the ratio of past updates to past gradients",
            "torch.optim:Adadelta",
            options.Adadelta,
            "Zeiler 2012, https://arxiv.org/abs/1212.5701",
            {"lr": LogUniform(1e-1, 1e1), "weight_decay": LogUniform(1e-6, 1e-3)},
        ),
        OptimizerRow(
            "rmsprop",
            "gradients over their running root mean square",
            "torch.optim:RMSprop",
            options.RMSprop,
            "Tieleman and Hinton 2012, lecture 6.5 of Neural Networks for Machine Learning",
            {"lr": LogUniform(1e-4, 1e-2), "weight_decay": LogUniform(1e-6, 1e-3)},
        ),
        OptimizerRow(
            "asgd",
            "gradient descent as for averaging; torch keeps the average in its state only",
            "torch.optim:ASGD",
            options.ASGD,
            "Polyak and Juditsky 1992, https://doi.org/10.1137/0330046",
            SGD_LIKE,
            decays=("weight_decay", "lambd"),
        ),
        OptimizerRow(
            "rprop",
            "step sizes from signs; meant for full batches, follows no schedule",
            "torch.optim:Rprop",
            options.Rprop,
            "Riedmiller and Braun 1993, https://doi.org/10.1109/ICNN.1993.298623",
            {"lr": LogUniform(1e-5, 1e-2)},
            decays=(),
            scheduled=False,
        ),
        OptimizerRow(
            "adafactor",
            "Adam with factored second moments and relative step sizes",
            "torch.optim:Adafactor",
            options.Adafactor,
            "Shazeer and Stern 2018, https://arxiv.org/abs/1804.04235",
            {"lr": LogUniform(3e-3, 3e-1), "weight_decay": LogUniform(1e-5, 1e-1)},
        ),
        OptimizerRow(
            "lbfgs",
            "limited-memory quasi-Newton with line search; meant for full batches",
            "fallline.optim.lbfgs:LBFGS",
            options.LBFGS,
            "Liu and Nocedal 1989, https://doi.org/10.1007/BF01589116",
            {"lr": LogUniform(1e-2, 1.0)},  # not max_iter, which decides what a step costs
            gradients_per_step=5.0,  # at most max_eval = max_iter * 5/4, with max_iter = 4
            calls_closure_again=True,
            one_group=True,
            decays=(),
            foreach=False,
        ),
        OptimizerRow(
            "muon",
            "orthogonalized momentum for matrices and filters, another optimizer for the rest",
            "fallline.optim.muon:Muon",
            options.Muon,
            "Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/",
            {
                "lr": LogUniform(1e-2, 1.0),
                "weight_decay": LogUniform(1e-5, 1e-2),  # decoupled: a step decays by lr times it
                "momentum": Choice((0.6, 0.8, 0.9, 0.95)),
            },
            takes=("matrix", "filter"),
            foreach=False,
        ),
        OptimizerRow(
            "torch_muon",
            "torch's Muon: matrices only, another optimizer for the rest, filters included",
            "torch.optim:Muon",
            options.TorchMuon,
            "Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/",
            {"lr": LogUniform(1e-3, 1e-1), "weight_decay": LogUniform(1e-4, 1e-1)},
            takes=("matrix",),
            foreach=False,
        ),
        OptimizerRow(
            "sam",
            "sharpness-aware: descends by the gradient at the worst point nearby",
            "fallline.optim.sam:SAM",
            options.SAM,
            "Foret et al. 2021, https://arxiv.org/abs/2010.01412",
            {"rho": LogUniform(1e-2, 5e-1)},
            gradients_per_step=2.0,
            calls_closure_again=True,
            wraps=True,
        ),
        OptimizerRow(
            "asam",
            "SAM in a neighbourhood that scales with the weights",
            "fallline.optim.sam:ASAM",
            options.ASAM,
            "Kwon et al. 2021, https://arxiv.org/abs/2102.11600",
            {"rho": LogUniform(1e-1, 5.0)},
            gradients_per_step=2.0,
            calls_closure_again=True,
            wraps=True,
        ),
    ],
    shown_by="fallline list optimizers",
)


def row(name: str) -> OptimizerRow:
    """The optimizer of that name: a row of the table, or one of the pytorch_optimizer package.

    Raises ConfigError for a name that is neither, MissingExtra where that package is needed.
    """
    if name in OPTIMIZERS:
        return OPTIMIZERS[name]
    if name in library.NAMES:
        return library.library_row(name)
    if name in library.LEFT_OUT:
        raise ConfigError(
            f"{name} is left out", seen=library.LEFT_OUT[name], next="fallline list optimizers"
        )
    fault, guess = OPTIMIZERS.unknown(name), did_you_mean(name, OPTIMIZERS.names + library.NAMES)
    others = f"{fault.allowed}, and {len(library.NAMES)} of the pytorch_optimizer package"
    raise ConfigError(
        replace(fault, allowed=others, next=f"did you mean {guess}?" if guess else fault.next)
    )
