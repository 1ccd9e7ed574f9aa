"""Asking a model behind an OpenAI-style server: `llamafactory-cli api`, vLLM, SGLang and others."""
