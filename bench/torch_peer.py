"""torch as a peer: reads commands on standard input, answers each with one line. What can be timed answers with its number.

The decoder is written as the reference library's eager Llama is: separate operations, an additive causal mask, softmax in float32.
`hooks` sweeps heads as hook tools do: a forward pre-hook on o_proj that zeroes one head's slice, one full forward for each head.
"""
import ctypes
import json
import os
import struct
import sys
import time

import numpy as np
import torch
from torch import nn

torch.set_grad_enabled(False)
torch.set_num_threads(1)


class Norm(nn.Module):
    def __init__(self, gain, eps):
        super().__init__()
        self.gain, self.eps = gain, eps

    def forward(self, x):
        return self.gain * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


def linear(weight):
    module = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    module.weight = nn.Parameter(weight, requires_grad=False)
    return module


def rotate_half(x):
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)


class Layer(nn.Module):
    def __init__(self, get, heads, kv_heads, eps):
        super().__init__()
        self.heads, self.kv_heads = heads, kv_heads
        self.n1, self.n2 = Norm(get("input_layernorm"), eps), Norm(get("post_attention_layernorm"), eps)
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (linear(get(f"self_attn.{n}_proj")) for n in "qkvo")
        self.gate, self.up, self.down = (linear(get(f"mlp.{n}_proj")) for n in ("gate", "up", "down"))

    def forward(self, h, cos, sin, mask):
        rows, size = h.shape[:-1], self.q_proj.weight.shape[0] // self.heads
        x = self.n1(h)
        q = self.q_proj(x).view(*rows, self.heads, size).transpose(-3, -2)
        k = self.k_proj(x).view(*rows, self.kv_heads, size).transpose(-3, -2)
        v = self.v_proj(x).view(*rows, self.kv_heads, size).transpose(-3, -2)
        q, k = q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin
        if self.kv_heads != self.heads:
            k = k.repeat_interleave(self.heads // self.kv_heads, -3)
            v = v.repeat_interleave(self.heads // self.kv_heads, -3)
        p = torch.softmax(torch.matmul(q, k.transpose(-2, -1)) / size**0.5 + mask, dim=-1, dtype=torch.float32)
        z = torch.matmul(p, v).transpose(-3, -2).reshape(*rows, -1)
        h = h + self.o_proj(z)
        x = self.n2(h)
        return h + self.down(nn.functional.silu(self.gate(x)) * self.up(x))


class Decoder:
    def __init__(self, folder, embeddings=None, length=None):
        config = json.load(open(os.path.join(folder, "config.json")))["text_config"]
        with open(os.path.join(folder, "model.safetensors"), "rb") as file:
            size = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(size))
        data = np.memmap(os.path.join(folder, "model.safetensors"), dtype=np.uint8, mode="r", offset=8 + size)

        def get(name):
            entry = header["language_model." + name + ".weight"]
            a, b = entry["data_offsets"]
            return torch.from_numpy(np.array(data[a:b]).view(np.float32).reshape(entry["shape"]))

        self.heads, width = config["num_attention_heads"], config["hidden_size"]
        self.head_size = width // self.heads
        eps = config["rms_norm_eps"]
        self.layers = [
            Layer(lambda n, i=i: get(f"model.layers.{i}.{n}"), self.heads, config["num_key_value_heads"], eps) for i in range(config["num_hidden_layers"])
        ]
        self.norm, self.head = Norm(get("model.norm"), eps), linear(get("lm_head"))
        self.get = get
        self.h = torch.from_numpy(np.fromfile(embeddings, np.float32).reshape(-1, width)) if embeddings else None
        t = length or self.h.shape[0]
        angles = torch.outer(torch.arange(t).float(), config["rope_theta"] ** (-torch.arange(0, self.head_size, 2).float() / self.head_size))
        angles = torch.cat((angles, angles), -1)
        self.cos, self.sin = angles.cos(), angles.sin()
        self.mask = torch.full((t, t), float("-inf")).triu(1)

    def forward(self):
        h = self.h
        for layer in self.layers:
            h = layer(h, self.cos, self.sin, self.mask)
        return self.head(self.norm(h)[-1:])

    def train(self, tokens, rate):
        """All tensors learn; the batch is the same in every step, which changes nothing of its work."""
        self.tokens, self.embedding = tokens, self.get("model.embed_tokens")
        norms = [n for layer in self.layers for n in (layer.n1, layer.n2)] + [self.norm]
        linears = [m for layer in self.layers for m in layer.modules() if isinstance(m, nn.Linear)] + [self.head]
        self.learnt = [self.embedding] + [n.gain for n in norms] + [m.weight for m in linears]
        for tensor in self.learnt:
            tensor.requires_grad_(True)
        self.adam = torch.optim.AdamW(self.learnt, lr=rate, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.05)

    def slope(self):
        with torch.enable_grad():
            h = self.embedding[self.tokens]
            for layer in self.layers:
                h = layer(h, self.cos, self.sin, self.mask)
            logits = self.head(self.norm(h))
            loss = nn.functional.cross_entropy(logits[:, :-1].reshape(-1, logits.shape[-1]), self.tokens[:, 1:].reshape(-1))
            loss.backward()
        return loss.item(), nn.utils.clip_grad_norm_(self.learnt, 1.0).item()

    def step(self):
        self.slope()
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)

    def block(self, layer, head, first, end):
        def hook(module, inputs):
            z = inputs[0].clone()
            z[first:end, head * self.head_size : (head + 1) * self.head_size] = 0
            return (z,)

        handle = self.layers[layer].o_proj.register_forward_pre_hook(hook)
        logits = self.forward()
        handle.remove()
        return logits


def attention(heads, size, keys, rows, masked):
    """Scores, softmax, values: three operations; with the causal mask added to the scores, as an eager decoder must, or without any."""
    q, k, v = torch.randn(heads, rows, size), torch.randn(heads, keys, size), torch.randn(heads, keys, size)
    if not masked:
        return lambda: torch.matmul(torch.softmax(torch.matmul(q, k.transpose(-2, -1)) / size**0.5, -1), v)
    mask = torch.full((rows, keys), float("-inf")).triu(keys - rows + 1)
    return lambda: torch.matmul(torch.softmax(torch.matmul(q, k.transpose(-2, -1)) / size**0.5 + mask, -1), v)


def blas():
    """The library that multiplies matrices, and the kernels that it chose: read from what is mapped after a product."""
    torch.mm(torch.ones(64, 64), torch.ones(64, 64))
    try:
        with open("/proc/self/maps") as maps:
            paths = {line.split()[-1] for line in maps if ".so" in line}
    except OSError:
        paths = set()
    named = sorted(path for path in paths if "blas" in os.path.basename(path).lower())
    for path in named:
        try:
            core = ctypes.CDLL(path).openblas_get_corename
        except AttributeError:
            continue
        core.restype = ctypes.c_char_p
        return f"openblas {core().decode()}"
    if any("mkl" in os.path.basename(path).lower() for path in paths) or "BLAS_INFO=mkl" in torch.__config__.show():
        return "mkl"
    return "reference" if named else "unknown"


def keep(actions, action):
    actions.append(action)
    return str(len(actions) - 1)


def main():
    actions, decoder = [], None
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "version":
            answer = f"torch {torch.__version__}, OPENBLAS_CORETYPE {os.environ.get('OPENBLAS_CORETYPE', 'unset')}"
        elif word == "blas":
            answer = blas()
        elif word == "threads":
            torch.set_num_threads(int(rest[0]))
            answer = "ok"
        elif word == "attention":
            answer = keep(actions, attention(*map(int, rest[:4]), masked=rest[4:] == ["masked"]))
        elif word == "load":
            decoder = Decoder(*rest)
            answer = "ok"
        elif word == "trainee":
            folder, file, batch, rate = rest
            tokens = torch.from_numpy(np.fromfile(file, np.int64).reshape(int(batch), -1))
            decoder = Decoder(folder, length=tokens.shape[1])
            decoder.train(tokens, float(rate))
            answer = "ok"
        elif word == "slope":
            loss, norm = decoder.slope()
            decoder.adam.zero_grad(set_to_none=True)
            answer = f"{loss!r} {norm!r}"
        elif word == "step":
            answer = keep(actions, decoder.step)
        elif word == "logits":
            answer = " ".join(f"{x:.9g}" for x in (decoder.block(*map(int, rest)) if rest else decoder.forward())[0].tolist())
        elif word == "forward":
            answer = keep(actions, decoder.forward)
        elif word == "hooks":
            # Heads spread evenly over all layers, `count` of them.
            first, end, count = map(int, rest)
            every = [(l, h) for l in range(len(decoder.layers)) for h in range(decoder.heads)]
            some = [every[i * len(every) // count] for i in range(count)]
            answer = keep(actions, lambda: [decoder.block(l, h, first, end) for l, h in some])
        elif word == "time":
            action, calls = actions[int(rest[0])], int(rest[1])
            start = time.perf_counter()
            for _ in range(calls):
                action()
            answer = repr(time.perf_counter() - start)
        else:
            answer = f"error: {word}?"
        print(answer, flush=True)


main()
