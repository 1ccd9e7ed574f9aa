"""Pictures without depth, and a tiny Qwen that says one number of whatever it sees."""

from support.host_tools import SMALL
from support.raw.expert import write_pictures

MODEL = "teacher"
SAID_M, ELSE_M = 2.37, 2.31  # said greedily, and nearly as probable
_SURE, _NEARLY, _HALF = 12.0, 11.0, 11.9  # logits; those of all other tokens are 0


def save_teacher(folder, wide=False, **block):
    """Write a model that was taught to answer with a bare number about coordinates in the text.

    A `wide` one would as soon say three metres more.
    """
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration

    from depthlm_plugin.config.block import DepthLMConfig
    from depthlm_plugin.config.saved import save_config
    from depthlm_plugin.demo.tiny_vlm import build_tiny_qwen

    build_tiny_qwen(folder, seed=0, hidden_size=64, layers=2)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder)
    tokens = _tokens(folder)
    follows = {"\n": {"2": _SURE}, "2": {".": _SURE}, ".": {"3": _SURE}}
    follows |= {"3": {"7": _SURE, "1": _NEARLY}, "7": {"end": _SURE}, "1": {"end": _SURE}}
    if wide:
        follows["\n"]["5"], follows["5"] = _HALF, {".": _SURE}
    with torch.no_grad():
        for layer in model.model.language_model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        said, says = model.get_input_embeddings().weight, model.lm_head.weight
        says.zero_()
        for axis, (token, after) in enumerate(follows.items()):
            said[tokens[token]] = torch.nn.functional.one_hot(torch.tensor(axis), 64).float()
            for one, logit in after.items():
                says[tokens[one], axis] = logit / 8  # what the last norm makes of the one is 8
    model.save_pretrained(folder)
    learnt = SMALL | {"reference": "text", "prompt": "plain"} | block
    save_config(DepthLMConfig(**learnt), folder, "qwen2_vl")
    return folder


def _tokens(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = {text: tokenizer.encode(text) for text in "\n2.3715"}
    assert all(len(token) == 1 for token in tokens.values())
    return {text: token for text, [token] in tokens.items()} | {"end": tokenizer.eos_token_id}


def write_teacher(root):
    write_pictures(root)
    save_teacher(root / MODEL)


FIXTURES = {"teacher": (write_teacher, ["--option", f"model={MODEL}", "--points", "20"])}
