"""Patches of depth runs are embedded by one matrix product, which is what their layer computes."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionPatchEmbed
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionPatchEmbed

from depthlm_plugin.host.patch_embedding import PatchProduct, mend_patch_embedding

LAYERS = {
    "qwen2_5_vl": lambda: Qwen2_5_VisionPatchEmbed(
        patch_size=Qwen2_5_VLVisionConfig().patch_size, embed_dim=32
    ),
    "qwen3_vl": lambda: Qwen3VLVisionPatchEmbed(Qwen3VLVisionConfig(hidden_size=32)),  # has a bias
}


@pytest.mark.parametrize("family", LAYERS)
def test_embedded_patches_and_gradients_are_those_of_the_layer(family):
    torch.manual_seed(0)
    stock = LAYERS[family]().double()  # sums in another order differ little
    ours = copy.deepcopy(stock)
    mend_patch_embedding(ours)
    assert type(ours.proj) is PatchProduct
    assert type(stock.proj) is torch.nn.Conv3d
    patches = torch.randn(7, stock.proj.weight[0].numel(), dtype=torch.float64)
    results = []
    for layer in (stock, ours):
        embedded = layer(patches)
        (embedded**2).sum().backward()
        results.append((embedded, {name: one.grad for name, one in layer.named_parameters()}))
    torch.testing.assert_close(results[1], results[0])
    assert ours.state_dict().keys() == stock.state_dict().keys()


def test_what_is_larger_than_the_kernel_is_convolved():
    torch.manual_seed(0)
    stock = torch.nn.Sequential(torch.nn.Conv3d(3, 4, (2, 5, 5), stride=(2, 5, 5)))
    ours = copy.deepcopy(stock)
    mend_patch_embedding(ours)
    video = torch.randn(1, 3, 4, 10, 15)
    assert ours(video).shape == (1, 4, 2, 2, 3)
    assert torch.equal(ours(video), stock(video))


@pytest.mark.parametrize(
    "layer", [{"stride": 1}, {"padding": 1}, {"dilation": 2}, {"groups": 3}, {"kernel_size": 4}]
)
def test_a_layer_that_slides_stays_as_it_is(layer):
    made = {"in_channels": 3, "out_channels": 6, "kernel_size": 5, "stride": 5} | layer
    model = torch.nn.Sequential(torch.nn.Conv3d(**made))
    mend_patch_embedding(model)
    assert type(model[0]) is torch.nn.Conv3d
