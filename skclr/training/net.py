"""The training loop: that of skorch, with the step that all frameworks share."""

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

from skclr.data.samples import Batches, HoldOut, SampleTensors
from skclr.frameworks import Framework
from skclr.parts.queue import Queue
from skclr.parts.schedules import WarmupThen
from skclr.plan import Plan
from skclr.precision import single_columns_padded
from skclr.randomness import MODULES, derive_seeds, rank_seed
from skclr.ranks.batch_norm import synchronized
from skclr.ranks.collectives import world
from skclr.ranks.process_group import average_gradients, check_same_on_ranks
from skclr.training.checkpoint import run_identity
from skclr.training.chunks import in_chunks
from skclr.training.divergence import Diverged, LastGoodWeights, check_epoch, check_losses
from skclr.training.draws import StepDraws
from skclr.training.history import to_columns
from skclr.training.interruption import StopTraining, ctrl_c_pending, handle_ctrl_c, stoppable
from skclr.training.optimizers import parameter_groups
from skclr.training.state import check_counters, check_optimizer, continue_optimizer, read_history
from skclr.views import Views

_TRAIN, _VALID = 0, 1
_AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


class ContrastiveNet(NeuralNet):
    """The skorch net that trains a `Framework`.

    Parameters
    ----------
    module : the framework.
    plan : plan of the fit, which determines the loop.
    view_maker : creates the views of a batch; fitted on the training samples.
    **kwargs : further arguments of skorch's net.

    Attributes
    ----------
    module_ : the framework.
    step_ : optimiser steps done so far, over all runs.
    interrupted_ : whether Ctrl-C interrupted the run.

    Raises
    ------
    Diverged : if the loss explodes or is no longer finite before there are weights to restore.
    """

    module_: Framework
    history_: History
    held_out_views_: Any
    # Set for each run, since generators belong to a device, which may not be available elsewhere.
    draws_: StepDraws | None = None

    def __init__(self, module: Framework, plan: Plan, view_maker: Views, **kwargs: Any) -> None:
        super().__init__(
            module,
            # The framework computes the loss itself.
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
        # Stored once, since skorch would pickle the parameter in addition to the trained module.
        self.module_ = self.module
        self.module: Any = type(self.module)
        return self

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> ContrastiveNet:
        groups = parameter_groups(self.module_.parameters(), self.plan.weight_decay)
        if not groups:
            raise ValueError("freeze leaves nothing to train. Lower freeze, or choose a framework with a projector.")
        self.optimizer_ = self.optimizer(groups, lr=self.lr, **self.get_params_for("optimizer"))
        return self

    def continue_from(self, other: ContrastiveNet, *, optimizer: bool) -> None:
        """Copy weights, counters and history from another net with the same parts.

        Parameters
        ----------
        other : left unchanged.
        optimizer : whether to copy the optimiser's state too.

        Raises
        ------
        ValueError : if the parts differ.
        """
        try:
            self.framework_.load_state_dict(other.framework_.state_dict())
            if optimizer:
                continue_optimizer(self.optimizer_, other.optimizer_)
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                "framework, encoder, projection_dim, freeze or optimizer differ from the last fit, which cannot be "
                f"continued. Set them back, or use fit with warm_start=False ({error})"
            ) from error
        for part in self.module_.modules():
            if isinstance(part, Queue):
                part.forget_groups()
        self.step_ = other.step_
        # A copy of the list suffices, since the other's epochs are complete.
        self.history_ = History(other.history_)

    @property
    def autocast(self) -> torch.dtype | None:
        """The dtype of the forward pass under torch.autocast; None for float32 throughout."""
        return _AUTOCAST[self.plan.precision]

    @property
    def framework_(self) -> Framework:
        """The framework itself; `module_` may be its compiled version."""
        return getattr(self.module_, "_orig_mod", self.module_)

    # -- state --------------------------------------------------------------------------------------

    def state(self, *, optimizer: bool) -> dict[str, Any]:
        """Return the state of training as plain values and tensors, with or without that of the optimiser."""
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
        """Restore what `state` returned; the framework already has its weights.

        Raises
        ------
        ValueError : if it is the state of another net.
        """
        if state.keys() != self.state(optimizer=False).keys():
            raise ValueError(f"the net has no {', '.join(state)}")
        check_counters(state)
        history = read_history(state["history"])
        check_optimizer(self.optimizer_, state["optimizer"])
        self.optimizer_.load_state_dict({**self.optimizer_.state_dict(), "state": state["optimizer"]})
        self.step_, self.history_ = state["step"], History(history)

    def to(self, device: torch.device) -> None:
        """Move the weights and the optimiser's state."""
        self.device, self.plan = str(device), replace(self.plan, device=device)
        self.module_.to(device)
        # Loading moves the state to the device of the weights.
        self.optimizer_.load_state_dict(self.optimizer_.state_dict())

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The device of training may not be available here; the estimator moves the net to another.
        plan = replace(state["plan"], device=torch.device("cpu"))
        super().__setstate__({**state, "device": "cpu", "plan": plan})

    # -- data ---------------------------------------------------------------------------------------

    def get_iterator(self, dataset: SampleTensors, training: bool = False) -> Batches:
        return Batches(dataset, self.batch_size, seed=self.plan.random_state, epoch=len(self.history), shuffle=training)

    # -- one run ------------------------------------------------------------------------------------

    def partial_fit(self, X: SampleTensors, y: None = None, classes: None = None, **fit_params: Any) -> ContrastiveNet:
        """Train for `max_epochs` further epochs on X."""
        if not self.initialized_:
            self.initialize()
        self.interrupted_, self.last_good_ = False, LastGoodWeights()
        draws = self.draws_ = StepDraws(torch.device(self.device))
        n_before = len(self.history)
        self._fit_views(X)
        handle_ctrl_c()
        with stoppable(self.plan.on_interrupt), self._adapted(draws):
            self.notify("on_train_begin", X=X, y=y)
            # A checkpoint may have restored the first epochs.
            self._run(X, n_epochs=self.max_epochs - (len(self.history) - n_before))
        self.notify("on_train_end", X=X, y=y)
        self.view_maker.release()
        del self.last_good_, self.held_out_views_
        self.draws_ = None
        return self

    @contextmanager
    def _adapted(self, draws: StepDraws) -> Iterator[None]:
        """Adapt the module to this run within the block: to its randomness, precision, chunks and ranks."""
        with ExitStack() as stack:
            stack.enter_context(draws.used_by(self.module_))
            if self.autocast is torch.bfloat16:
                stack.enter_context(single_columns_padded(self.module_))
            if self.plan.chunk_size is not None:
                stack.enter_context(in_chunks(self.module_, self.plan.chunk_size, draws))
            if world.size > 1:
                stack.enter_context(synchronized(self.module_))
            yield

    def _fit_views(self, X: SampleTensors) -> None:
        """Fit the view maker on the training samples; it never sees held-out samples."""
        train, held_out = self.get_split_datasets(X)
        self.view_maker.fit(train)
        self.held_out_views_ = None if held_out is None else self.view_maker.held_out(held_out)

    def _run(self, X: SampleTensors, n_epochs: int) -> None:
        if self.history and self.step_ > self.first_step_:
            self.last_good_.remember(self)
        try:
            self.fit_loop(X, epochs=n_epochs)
        except Diverged as error:
            self.last_good_.restore(self, error)

    def _is_interrupted(self) -> bool:
        """Return whether Ctrl-C ends the run here; raise KeyboardInterrupt if on_interrupt says so."""
        if world.size == 1:
            # A callback may have taken long.
            self.interrupted_ = ctrl_c_pending()
        if self.interrupted_ and self.plan.on_interrupt == "raise":
            handle_ctrl_c()
            if world.size > 1:
                # It may have been received by another rank.
                raise KeyboardInterrupt
            self.interrupted_ = False
        return self.interrupted_

    def notify(self, method_name: str, **kwargs: Any) -> None:
        stopped = False
        try:
            super().notify(method_name, **kwargs)
        except KeyboardInterrupt:
            # Callbacks of skorch stop a run by the exception that Ctrl-C raises.
            stopped = method_name == "on_epoch_end" and not ctrl_c_pending()
            if not stopped:
                raise
        if method_name == "on_epoch_end":
            # Ctrl-C, or a callback that checks the clock, may concern a single rank.
            self.interrupted_ = world.any_rank(self.interrupted_ or ctrl_c_pending())
            if world.any_rank(stopped) or self._is_interrupted():
                raise StopTraining

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.first_step_ = self.step_
        if world.size > 1:
            check_same_on_ranks(run_identity(self, X, {"random_state": str(self.plan.random_state)}))
        self.scaler_ = torch.amp.GradScaler(self.device, enabled=self.autocast is torch.float16)

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Any = None, **kwargs: Any) -> None:
        super().on_epoch_begin(net, dataset_train=dataset_train, **kwargs)
        self.steps_per_epoch_ = len(self.get_iterator(dataset_train, training=True))
        self.total_steps_ = 0 if self.plan.endless else self.max_epochs * self.steps_per_epoch_

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
        # A checkpoint may have restored the first batches.
        n_done = len(self.history[-1]["batches"]) if training else 0
        # Validation uses the same views in every epoch, so that its loss depends only on the weights.
        counter = (_TRAIN, len(self.history)) if training else (_VALID,)
        seeds = derive_seeds(len(iterator), self.plan.random_state, *counter)[n_done:]
        self.unread_losses_: list[float | Tensor] = []
        for batch, seed in zip(iterator.skipping(n_done), seeds, strict=True):
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, generator=torch.Generator(self.device).manual_seed(seed))
            self.interrupted_ = world.any_rank(ctrl_c_pending())
            step["loss"] = world.average(step["loss"])
            # On the CPU as a number, since small tensors that are kept would fragment the memory that steps free.
            self.unread_losses_.append(step["loss"].item() if step["loss"].device.type == "cpu" else step["loss"])
            self.history.record_batch(prefix + "_batch_size", world.size * len(batch[0]))
            self.notify("on_batch_end", batch=batch, training=training, **step)
            n_done += 1
            if self._is_interrupted() and training:
                break
        self.history.record(prefix + "_batch_count", n_done)
        self.read_losses(prefix + "_loss")

    def read_losses(self, name: str) -> None:
        """Write the losses of the last batches into the history, which waits for the device.

        Raises
        ------
        Diverged : if a loss is not finite.
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
                "the loss has no gradient: a callback froze all parameters, or it does not depend on the embeddings. "
                "Freeze the encoder by freeze='all', or return a loss that has a gradient."
            )
        self.scaler_.scale(loss).backward()  # type: ignore[no-untyped-call]
        return {"loss": loss.detach(), "y_pred": None}

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], **fit_params: Any) -> dict[str, Any]:
        self._set_training(False)
        with torch.no_grad():
            return {"loss": self._loss(batch, self.held_out_views_, **fit_params), "y_pred": None}

    def _set_training(self, training: bool = True) -> None:
        # Visiting all modules in every step would cost more than the rest of the loop.
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
        if len(views) < (exact or 2) or exact not in (None, len(views)):
            raise ValueError(
                f"views made {len(views)} views, but {type(self.framework_).__name__} takes "
                f"{f'exactly {exact}' if exact else 'two or more'}. Set views_params={{'n_views': {exact or 2}}}."
            )
