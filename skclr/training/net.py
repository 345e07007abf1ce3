"""The training loop: skorch's, with the one step that all frameworks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PassthroughScoring
from skorch.history import History
from torch import Tensor, nn

from skclr.data.samples import Batches, HoldOut, Samples
from skclr.frameworks import Framework
from skclr.parts.queue import Queue
from skclr.parts.schedules import WarmupThen
from skclr.plan import Plan
from skclr.precision import single_columns_padded
from skclr.randomness import MODULES, derive_seeds, rank_seed
from skclr.ranks.batch_norm import synchronized
from skclr.ranks.collectives import world
from skclr.ranks.process_group import average_gradients, check_alike
from skclr.training.checkpoint import identity
from skclr.training.chunks import in_chunks
from skclr.training.divergence import Diverged, LastGood, check_epoch, check_losses
from skclr.training.draws import StepDraws
from skclr.training.history import to_columns
from skclr.training.interruption import StopTraining, ctrl_c_came, handle_ctrl_c, stoppable
from skclr.training.optimizers import parameter_groups
from skclr.training.state import check_counters, check_optimizer, continue_optimizer, read_history
from skclr.views import Views

_TRAIN, _VALID = 0, 1
_AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


class ContrastiveNet(NeuralNet):
    """skorch's net over a `Framework`.

    Parameters
    ----------
    module : the framework.
    plan : of the fit; the loop does what it says.
    view_maker : makes the views of a batch; it is fitted on the samples that are trained on.
    **kwargs : skorch's own, beside those that the plan says.

    Attributes
    ----------
    module_ : the framework.
    step_ : optimiser steps done so far, over all runs.
    interrupted_ : whether Ctrl-C came.

    Raises
    ------
    Diverged : where the loss explodes or stops being finite before there are weights to go back to.
    """

    module_: Framework
    history_: History
    held_out_views_: Any
    # Of a run: a generator is of a device that is not there everywhere.
    draws_: StepDraws | None = None

    def __init__(self, module: Framework, plan: Plan, view_maker: Views, **kwargs: Any) -> None:
        super().__init__(
            module,
            # A framework is its own criterion.
            criterion=nn.Identity,
            iterator_train=Batches,
            iterator_valid=Batches,
            optimizer=plan.optimizer.make,
            lr=plan.learning_rate,
            batch_size=plan.batch_size,
            max_epochs=plan.max_epochs,
            train_split=HoldOut(plan.validation_fraction, plan.random_state) if plan.validation_fraction else None,
            device=str(plan.device),
            compile=plan.compile,
            verbose=0,
            **{f"optimizer__{name}": value for name, value in plan.optimizer.arguments.items()},
            **kwargs,
        )
        self.plan = plan
        self.view_maker = view_maker

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
        ]

    def initialize(self) -> ContrastiveNet:
        self.step_ = 0
        self.schedule_ = WarmupThen(self.plan.lr_schedule, self.plan.warmup_epochs, self.max_epochs)
        return super().initialize()

    def initialize_module(self) -> ContrastiveNet:
        # Kept once: skorch would pickle the parameter beside the trained module.
        self.module_ = self.module
        self.module: Any = type(self.module)
        return self

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> ContrastiveNet:
        groups = parameter_groups(self.module_.parameters(), self.plan.weight_decay)
        if not groups:
            raise ValueError("nothing is left to train: lower freeze, or choose a framework with a projector")
        self.optimizer_ = self.optimizer(groups, lr=self.lr, **self.get_params_for("optimizer"))
        return self

    def continue_from(self, other: ContrastiveNet, *, optimizer: bool) -> None:
        """Take over weights, counters and history of another net of the same parts.

        Parameters
        ----------
        other : left as it is.
        optimizer : whether to take over the optimiser's state too.

        Raises
        ------
        ValueError : where the parts differ.
        """
        try:
            self.framework_.load_state_dict(other.framework_.state_dict())
            if optimizer:
                continue_optimizer(self.optimizer_, other.optimizer_)
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                "framework, encoder, projection_dim, freeze or optimizer differ from the last fit's, so it cannot go "
                f"on from there: set them back, or use fit with warm_start=False ({error})"
            ) from error
        for part in self.module_.modules():
            if isinstance(part, Queue):
                part.forget_groups()
        self.step_ = other.step_
        # The other's epochs are over, and are not written to any more.
        self.history_ = History(other.history_)

    @property
    def autocast(self) -> torch.dtype | None:
        """The dtype of the forward pass under torch.autocast; None is float32 throughout."""
        return _AUTOCAST[self.plan.precision]

    @property
    def framework_(self) -> Framework:
        """The framework itself, where `module_` may be what torch compiled of it."""
        return getattr(self.module_, "_orig_mod", self.module_)

    # -- what is kept -------------------------------------------------------------------------------

    def state(self, *, optimizer: bool) -> dict[str, Any]:
        """Return what training has changed, in plain values and tensors, with or without the state of the optimiser."""
        return {
            "module": dict(self.framework_.state_dict()),
            "optimizer": self.optimizer_.state_dict()["state"] if optimizer else {},
            "step": self.step_,
            "history": to_columns(self.history_),
            "batch_size": self.batch_size,
            "max_epochs": self.max_epochs,
            "endless": self.plan.endless,
            "seed": self.plan.random_state,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned; the framework has its weights already.

        Raises
        ------
        ValueError : where it is the state of another net.
        """
        if state.keys() != self.state(optimizer=False).keys():
            raise ValueError(f"a net has no {', '.join(state)}")
        check_counters(state)
        history = read_history(state["history"])
        check_optimizer(self.optimizer_, state["optimizer"])
        self.optimizer_.load_state_dict({**self.optimizer_.state_dict(), "state": state["optimizer"]})
        self.step_, self.history_ = state["step"], History(history)

    def to(self, device: torch.device) -> None:
        """Move weights and the optimiser's state."""
        self.device, self.plan = str(device), replace(self.plan, device=device)
        self.module_.to(device)
        # Loading moves it to where the weights are.
        self.optimizer_.load_state_dict(self.optimizer_.state_dict())

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The device of the training may not be available here; the estimator moves the net on.
        plan = replace(state["plan"], device=torch.device("cpu"))
        super().__setstate__({**state, "device": "cpu", "plan": plan})

    # -- data ---------------------------------------------------------------------------------------

    def get_iterator(self, dataset: Samples, training: bool = False) -> Batches:
        return Batches(dataset, self.batch_size, seed=self.plan.random_state, epoch=len(self.history), shuffle=training)

    # -- one run ------------------------------------------------------------------------------------

    def partial_fit(self, X: Samples, y: None = None, classes: None = None, **fit_params: Any) -> ContrastiveNet:
        """Train for `max_epochs` epochs on X, going on from where the net stands."""
        if not self.initialized_:
            self.initialize()
        self.interrupted_, self.last_good_ = False, LastGood()
        draws = self.draws_ = StepDraws(torch.device(self.device))
        n_before = len(self.history)
        self._fit_views(X)
        handle_ctrl_c()
        with stoppable(self.plan.on_interrupt), self._adapted(draws):
            self.notify("on_train_begin", X=X, y=y)
            # A checkpoint may have brought the first epochs along.
            self._run(X, n_epochs=self.max_epochs - (len(self.history) - n_before))
        self.notify("on_train_end", X=X, y=y)
        self.view_maker.release()
        del self.last_good_, self.held_out_views_
        self.draws_ = None
        return self

    @contextmanager
    def _adapted(self, draws: StepDraws) -> Iterator[None]:
        """Adapt the module to this run within the block: to its draws, precision, chunks and ranks."""
        with ExitStack() as stack:
            stack.enter_context(draws.lent_to(self.module_))
            if self.autocast is torch.bfloat16:
                stack.enter_context(single_columns_padded(self.module_))
            if self.plan.chunk_size is not None:
                stack.enter_context(in_chunks(self.module_, self.plan.chunk_size, draws))
            if world.size > 1:
                stack.enter_context(synchronized(self.module_))
            yield

    def _fit_views(self, X: Samples) -> None:
        """Fit the view maker on the samples that are trained on; it never sees those that are held out."""
        train, held_out = self.get_split_datasets(X)
        self.view_maker.fit(train)
        self.held_out_views_ = None if held_out is None else self.view_maker.held_out(held_out)

    def _run(self, X: Samples, n_epochs: int) -> None:
        if self.history and self.step_ > self.first_step_:
            self.last_good_.remember(self)
        try:
            self.fit_loop(X, epochs=n_epochs)
        except Diverged as error:
            self.last_good_.restore(self, error)

    def _stops(self) -> bool:
        """Return whether Ctrl-C ends the run here, or raise KeyboardInterrupt where it is to."""
        if world.size == 1:
            # A callback may have been long.
            self.interrupted_ = ctrl_c_came()
        if self.interrupted_ and self.plan.on_interrupt == "raise":
            handle_ctrl_c()
            if world.size > 1:
                # It may have come on another rank.
                raise KeyboardInterrupt
            self.interrupted_ = False
        return self.interrupted_

    def notify(self, method_name: str, **kwargs: Any) -> None:
        stopped = False
        try:
            super().notify(method_name, **kwargs)
        except KeyboardInterrupt:
            # skorch's callbacks stop a run by the same exception that Ctrl-C raises.
            stopped = method_name == "on_epoch_end" and not ctrl_c_came()
            if not stopped:
                raise
        if method_name == "on_epoch_end":
            # A callback that looks at the clock, and Ctrl-C, may be of one rank alone.
            self.interrupted_ = world.any_rank(self.interrupted_ or ctrl_c_came())
            if world.any_rank(stopped) or self._stops():
                raise StopTraining

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.first_step_ = self.step_
        if world.size > 1:
            check_alike(identity(self, X, {"random_state": str(self.plan.random_state)}))
        self.scaler_ = torch.amp.GradScaler(self.device, enabled=self.autocast is torch.float16)

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Any = None, **kwargs: Any) -> None:
        super().on_epoch_begin(net, dataset_train=dataset_train, **kwargs)
        self.steps_an_epoch_ = len(self.get_iterator(dataset_train, training=True))
        self.total_steps_ = 0 if self.plan.endless else self.max_epochs * self.steps_an_epoch_

    def on_epoch_end(self, net: NeuralNet, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        super().on_epoch_end(net, dataset_train=dataset_train, dataset_valid=dataset_valid, **kwargs)
        check_epoch(self)
        self.last_good_.remember(self)

    def run_single_epoch(
        self,
        iterator: Batches | None,
        training: bool,
        prefix: str,
        step_fn: Callable[..., Any],
        **fit_params: Any,
    ) -> None:
        if iterator is None:
            return
        # A checkpoint may have brought the first batches along.
        n_done = len(self.history[-1]["batches"]) if training else 0
        # Validation has the same views in every epoch, so that its loss is a function of the weights.
        counter = (_TRAIN, len(self.history)) if training else (_VALID,)
        seeds = derive_seeds(len(iterator), self.plan.random_state, *counter)[n_done:]
        self.unread_losses_: list[float | Tensor] = []
        for batch, seed in zip(iterator.after(n_done), seeds, strict=True):
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, generator=torch.Generator(self.device).manual_seed(seed))
            self.interrupted_ = world.any_rank(ctrl_c_came())
            step["loss"] = world.average(step["loss"])
            # On the CPU as a number: small tensors that stay leave holes in the memory that steps free, and it grows.
            self.unread_losses_.append(step["loss"].item() if step["loss"].device.type == "cpu" else step["loss"])
            self.history.record_batch(prefix + "_batch_size", world.size * len(batch[0]))
            self.notify("on_batch_end", batch=batch, training=training, **step)
            n_done += 1
            if self._stops() and training:
                break
        self.history.record(prefix + "_batch_count", n_done)
        self.read_losses(prefix + "_loss")

    def read_losses(self, name: str) -> None:
        """Write the losses of the last batches into the history: the host waits for the device.

        Raises
        ------
        Diverged : where one is not finite.
        """
        on_device = [loss for loss in self.unread_losses_ if isinstance(loss, Tensor)]
        values = torch.stack(on_device).tolist() if on_device else [float(loss) for loss in self.unread_losses_]
        self.unread_losses_ = []
        records = self.history[-1]["batches"]
        for record, value in zip(records[len(records) - len(values) :], values, strict=True):
            record[name] = value
        check_losses(self, name, values)

    # -- one step -----------------------------------------------------------------------------------

    def train_step(self, batch: tuple[Tensor, Tensor, Tensor], **fit_params: Any) -> dict[str, Any]:
        done = self.step_ - self.first_step_
        lr = self.lr * self.schedule_(done, self.total_steps_)
        for group in self.optimizer_.param_groups:
            group["lr"] = lr
        self.optimizer_.zero_grad()
        step = self.train_step_single(batch, **fit_params)
        if world.size > 1:
            average_gradients(self.module_)
        self.scaler_.unscale_(self.optimizer_)
        self.notify("on_grad_computed", named_parameters=self.module_.named_parameters(), batch=batch, training=True)
        self.scaler_.step(self.optimizer_)
        self.scaler_.update()
        self.step_ += 1
        self.module_.after_step((done + 1) / self.total_steps_ if self.total_steps_ else 0.0)
        return step

    def train_step_single(self, batch: tuple[Tensor, Tensor, Tensor], **fit_params: Any) -> dict[str, Any]:
        self._set_training(True)
        loss = self._loss(batch, self.view_maker, **fit_params)
        if not loss.requires_grad:
            raise ValueError(
                "nothing is left to train: a callback froze all parameters, or the loss does not depend on the "
                "embeddings. Freeze the encoder by freeze='all', or return a loss that has a gradient."
            )
        self.scaler_.scale(loss).backward()  # type: ignore[no-untyped-call]
        return {"loss": loss.detach(), "y_pred": None}

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], **fit_params: Any) -> dict[str, Any]:
        self._set_training(False)
        with torch.no_grad():
            return {"loss": self._loss(batch, self.held_out_views_, **fit_params), "y_pred": None}

    def _set_training(self, training: bool = True) -> None:
        # Walking all modules at every step would cost more than the loop around it.
        if self.module_.training != training:
            self.module_.train(training)

    def _loss(self, batch: tuple[Tensor, Tensor, Tensor], view_maker: Views, generator: torch.Generator) -> Tensor:
        x, rows, groups = batch
        views = view_maker(x, rows, generator)
        self._check_views(views)
        draws = self.draws_ or StepDraws(generator.device)
        seeded = draws.seeded(rank_seed(generator, MODULES), training=self.module_.training)
        with seeded, torch.autocast(x.device.type, self.autocast, self.autocast is not None, cache_enabled=False):
            return self._checked(self.module_(views, groups))

    @staticmethod
    def _checked(loss: Any) -> Tensor:
        if isinstance(loss, Tensor) and loss.numel() == 1:
            return loss
        what = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise TypeError(f"loss= or framework= returned {what} as the loss. Return a tensor of a single number.")

    def _check_views(self, views: list[Tensor]) -> None:
        exact = self.module_.exact_views
        if len(views) < 2 or exact not in (None, len(views)):
            raise ValueError(
                f"views made {len(views)} views, but {type(self.framework_).__name__} takes "
                f"{f'exactly {exact}' if exact else 'two or more'}: set views_params={{'n_views': {exact or 2}}}"
            )
