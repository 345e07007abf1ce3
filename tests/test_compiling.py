"""Functions that stay out of the graphs of torch's compiler."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skclr.encoders.dropout import Dropout


# Raised when torch inspects tensors between two graphs.
@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_compiled_dropout_draws_from_its_generator_outside_of_graphs():
    dropout = Dropout(0.5)
    dropout.generator = torch.Generator()
    layer, x = nn.Linear(4, 8), torch.ones(3, 4)
    operators = []

    def network(x):
        return dropout(layer(x)).relu()

    def backend(graph, _):
        operators.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    compiled = torch.compile(network, backend=backend)
    for seed in range(3):
        dropout.generator.manual_seed(seed)
        expected = network(x)
        dropout.generator.manual_seed(seed)
        assert_close(compiled(x), expected, rtol=0, atol=0)
    assert any("relu" in name for name in operators)
    assert not any("empty_like" in name or "mul" in name or "dropout" in name for name in operators)
