"""Tags that a chat template makes special tokens are not lost from answers."""

from __future__ import annotations

import pytest
from support.tiny_vlms import TINY_VLMS, tokenizer_of

from depthlm_plugin.host.decoding import decoded

ANSWER = "<think> The point is around 2.50 meters away. </think>\n\n<answer> 2.50 </answer>"


@pytest.mark.parametrize("kind", ["glm4v", "glm4v_moe", "qwen2_5_vl"])
def test_an_answer_is_decoded_with_its_tags_and_without_other_special_tokens(kind: str) -> None:
    from llamafactory.data.template import TEMPLATES

    tokenizer = tokenizer_of(kind)
    TEMPLATES[TINY_VLMS[kind].template].fix_special_tokens(tokenizer)
    ids = tokenizer.encode(ANSWER, add_special_tokens=False)
    padded = [*ids, tokenizer.eos_token_id, *[tokenizer.pad_token_id] * 3]
    assert decoded(tokenizer, padded) == ANSWER
    lost = tokenizer.decode(padded, skip_special_tokens=True) != ANSWER
    assert lost == kind.startswith("glm")
