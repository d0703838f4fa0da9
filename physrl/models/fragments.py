"""The fragments of a model's parameters that a rank holds at each of DeepSpeed's ZeRO stages."""

from collections.abc import Iterator
from typing import Any

from deepspeed.runtime.base_optimizer import ZeROOptimizer
from deepspeed.runtime.zero.stage3 import DeepSpeedZeroOptimizer_Stage3

from physrl.models.learner_state import Fragment, State


def list_fragments(engine: Any) -> list[Fragment]:
    """List the fragments of trained parameters that this rank updates: all of them without ZeRO."""
    names = {id(p): name for name, p in engine.module.named_parameters() if p.requires_grad}
    optimizer = engine.optimizer
    if isinstance(optimizer, DeepSpeedZeroOptimizer_Stage3):
        return list(_partitioned(optimizer, names))
    if isinstance(optimizer, ZeROOptimizer):
        return list(_flattened(optimizer, names))
    return [
        Fragment(names[id(p)], tuple(p.shape), 0, p, 0, p.numel())
        for group in optimizer.param_groups
        for p in group["params"]
    ]


def optimizer_state(engine: Any) -> State:
    """Return the state of torch's optimizer inside of DeepSpeed's."""
    optimizer = engine.optimizer
    state: State = (
        optimizer.optimizer.state if isinstance(optimizer, ZeROOptimizer) else optimizer.state
    )
    return state


def spread_weights(engine: Any) -> None:
    """Copy this rank's 32-bit weights into the model, and gather those of the other ranks."""
    optimizer = engine.optimizer
    if isinstance(optimizer, DeepSpeedZeroOptimizer_Stage3):
        optimizer.checkpoint_event_prologue()  # parameters that were gathered are stale
        flat = zip(
            optimizer.fp16_partitioned_groups_flat,
            optimizer.fp32_partitioned_groups_flat,
            strict=True,
        )
        for weights, exact in flat:
            weights.data.copy_(exact.data)
        optimizer.checkpoint_event_epilogue()
    elif isinstance(optimizer, ZeROOptimizer):
        optimizer.update_lp_params()


def _flattened(optimizer: Any, names: dict[int, str]) -> Iterator[Fragment]:
    """List the fragments of stages 1 and 2: a slice of all parameters, one after another."""
    for parameter in (p for group in optimizer.bit16_groups for p in group):
        mapping = parameter._hp_mapping  # None where other ranks hold the whole parameter
        if mapping is not None:
            yield Fragment(
                names[id(parameter)],
                tuple(parameter.shape),
                mapping.lp_fragment_address.start,
                optimizer.single_partition_of_fp32_groups[mapping.param_group_index],
                mapping.hp_fragment_address.start,
                mapping.hp_fragment_address.numel,
            )


def _partitioned(optimizer: Any, names: dict[int, str]) -> Iterator[Fragment]:
    """List the fragments of stage 3: a slice of each parameter; the last ones are padded."""
    for parameter in (p for group in optimizer.fp16_groups for p in group):
        group, offset, padded = optimizer.grad_position[optimizer.get_param_id(parameter)]
        start = padded * optimizer._get_param_partition_rank(parameter)
        length = min(padded, parameter.ds_numel - start)
        if length > 0:
            yield Fragment(
                names[id(parameter)],
                tuple(parameter.ds_shape),
                start,
                optimizer.fp32_partitioned_groups_flat[group],
                offset,
                length,
            )
