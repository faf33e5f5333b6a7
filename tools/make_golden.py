#!/usr/bin/env python3
"""Golden files for `ascope parity`, made with the reference library. Needs torch, transformers, safetensors and Pillow.

    python3 make_golden.py MODEL OUT_DIR --image picture.png --prompt "What is in the picture?"

Pictures are resized as Pillow up to 12 does it, whichever is installed.

Writes OUT_DIR/CASE.safetensors and OUT_DIR/CASE.json: inputs, vision features, every decoder layer's attention probabilities, z, attention and
MLP outputs and residual stream, logits, and a few greedy steps; float32, eager attention.
"""
import argparse
import json
import os
import shutil

import PIL
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText, AutoProcessor


def resize_as_before_13():
    """Pillow 13 may shrink a picture's height first; the numbers in between are rounded, so the order shows. One side a call keeps the
    width first."""
    newer = Image.Image.resize

    def resize(self, size, resample=None, box=None, reducing_gap=None):
        if box is None and reducing_gap is None and resample != Image.Resampling.NEAREST and size[0] != self.width and size[
            1] != self.height:
            return newer(newer(self, (size[0], self.height), resample), size, resample)
        return newer(self, size, resample, box, reducing_gap)

    Image.Image.resize = resize


def keep(kept, name, pick):
    """A hook that keeps a part of what a module got or gave. It returns nothing: what a hook returns takes the output's place."""
    def hook(module, args, output):
        kept.setdefault(name, pick(args, output[0] if isinstance(output, tuple) else output)[0])
    return hook


def find(model, *paths):
    """The first of several attribute paths that exists: names differ between families and versions."""
    for path in paths:
        part = model
        for name in path.split("."):
            part = getattr(part, name, None)
            if part is None:
                break
        if part is not None:
            return part
    raise SystemExit(f"none of {', '.join(paths)} in {type(model).__name__}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--image", action="append", default=[])
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--case", default="case")
    parser.add_argument("--steps", type=int, default=6)
    args = parser.parse_args()

    if int(PIL.__version__.split(".")[0]) >= 13:
        resize_as_before_13()
    # The Pillow backend: the other differs by a level here and there. Its newer name, backend="pil", is refused by processors that also
    # take films.
    processor = AutoProcessor.from_pretrained(args.model, use_fast=False)
    model = AutoModelForImageTextToText.from_pretrained(args.model, dtype=torch.float32, attn_implementation="eager").eval()
    content = [{"type": "image"} for _ in args.image] + [{"type": "text", "text": args.prompt}]
    messages = [{"role": "user", "content": content}]
    prompt = processor.apply_chat_template(messages, add_generation_prompt=True)
    pictures = [Image.open(path) for path in args.image]
    inputs = processor(text=prompt, images=pictures or None, return_tensors="pt")
    inputs = {name: value for name, value in inputs.items() if torch.is_tensor(value)}

    decoder = find(model, "model.language_model", "language_model.model", "model.text_model")
    arrays, layers = {}, [{} for _ in decoder.layers]
    hooks = []
    for kept, layer in zip(layers, decoder.layers):
        hooks.append(layer.register_forward_hook(keep(kept, "hidden", lambda args, output: output)))
        hooks.append(layer.mlp.register_forward_hook(keep(kept, "mlp_out", lambda args, output: output)))
        hooks.append(layer.self_attn.o_proj.register_forward_hook(keep(kept, "attn_out", lambda args, output: output)))
        hooks.append(layer.self_attn.o_proj.register_forward_hook(keep(kept, "z", lambda args, output: args[0])))
    with torch.no_grad():
        output = model(**inputs, output_attentions=True, use_cache=False)
    for hook in hooks:
        hook.remove()
    for name in ("hidden", "attn_out", "mlp_out", "z"):
        arrays[f"lm.{name}"] = torch.stack([kept[name] for kept in layers])
    arrays["lm.attn"] = torch.stack([attention[0] for attention in output.attentions])
    arrays["lm.logits"] = output.logits[0]

    ids, steps, cut = inputs["input_ids"], [], {k: v for k, v in inputs.items() if k not in ("input_ids", "attention_mask", "mm_token_type_ids")}
    with torch.no_grad():  # without a cache: slow and beyond doubt
        for _ in range(args.steps):
            extra = dict(cut)
            if "mm_token_type_ids" in inputs:
                extra["mm_token_type_ids"] = torch.nn.functional.pad(inputs["mm_token_type_ids"], (0, ids.shape[1] - inputs["input_ids"].shape[1]))
            steps.append(model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, **extra).logits[0, -1])
            ids = torch.cat([ids, steps[-1].argmax().view(1, 1)], 1)
    arrays["gen.ids"] = ids[0, inputs["input_ids"].shape[1]:]
    arrays["gen.logits"] = torch.stack(steps)
    for name, value in inputs.items():
        arrays[f"inputs.{name}"] = value

    os.makedirs(args.out, exist_ok=True)
    names = []
    for i, path in enumerate(args.image):
        names.append(f"{args.case}_img{i}{os.path.splitext(path)[1]}")
        shutil.copy(path, os.path.join(args.out, names[-1]))
    save_file({name: value.contiguous().clone() for name, value in arrays.items()}, os.path.join(args.out, args.case + ".safetensors"))
    with open(os.path.join(args.out, args.case + ".json"), "w", encoding="utf-8") as file:
        json.dump({"case": args.case, "messages": messages, "prompt": prompt, "images": names, "interventions": {}}, file, indent=1, ensure_ascii=False)


if __name__ == "__main__":
    main()
