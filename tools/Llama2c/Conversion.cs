using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;

namespace AnchorScope.Llama2c;

/// <summary>llama2.c's files to a checkpoint folder as Hugging Face has it for LlamaForCausalLM, weights to the bit.</summary>
internal static class Conversion
{
    private static readonly JsonSerializerOptions Indented =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="modelPath">model.bin; with the tokenizer behind it where that is not given.</param>
    /// <param name="tokenizerPath">tokenizer.bin, or null.</param>
    /// <param name="folder">Must not exist, or be empty; is there when it is complete.</param>
    /// <exception cref="InputException">A file is not what it should be, or the folder cannot be written.</exception>
    public static ModelShape Write(string modelPath, string? tokenizerPath, string folder)
    {
        using var model = ModelFile.Open(modelPath, alone: tokenizerPath is not null);
        var tokens = Tokens(model, modelPath, tokenizerPath);
        return NewFolder.Write(folder, partial =>
        {
            SafetensorsWriter.Write(Path.Combine(partial, Checkpoint.SingleName), model.Tensors, model.Copy,
                new Dictionary<string, string>(StringComparer.Ordinal) { ["format"] = "pt" });
            File.WriteAllBytes(Path.Combine(partial, "tokenizer.model"), TokenizerFile.ToSentencePiece(tokens));
            WriteJson(partial, "config.json", Config(model.Shape));
            WriteJson(partial, "tokenizer_config.json", new()
            {
                ["tokenizer_class"] = "LlamaTokenizer", ["add_bos_token"] = true, ["add_eos_token"] = false, ["bos_token"] = "<s>",
                ["eos_token"] = "</s>", ["unk_token"] = "<unk>", ["legacy"] = true,
                ["model_max_length"] = model.Shape.Context, ["clean_up_tokenization_spaces"] = false,
            });
            // Its training texts follow each other with <s> in between and no </s>, so that is what ends one.
            WriteJson(partial, "generation_config.json", new() { ["bos_token_id"] = 1, ["eos_token_id"] = new JsonArray(1, 2) });
            return model.Shape;
        });
    }

    private static IReadOnlyList<(string Text, float Score)> Tokens(ModelFile model, string modelPath, string? tokenizerPath)
    {
        if (tokenizerPath is null)
        {
            var bytes = model.Length - model.End;
            return bytes is > 0 and <= int.MaxValue
                ? TokenizerFile.Read($"{modelPath}: tokenizer behind the weights", model.Rest((int)bytes), model.Shape.Vocabulary)
                : throw InputException.At(modelPath, "tokenizer", $"one behind the {model.End} bytes of the model, or a file of its own",
                    $"{bytes} bytes");
        }
        using var file = MappedFile.Open(tokenizerPath);
        return TokenizerFile.Read(tokenizerPath, file.Slice(0, (int)Math.Min(file.Length, int.MaxValue)), model.Shape.Vocabulary);
    }

    private static JsonObject Config(ModelShape shape) => new()
    {
        ["architectures"] = new JsonArray("LlamaForCausalLM"), ["model_type"] = "llama", ["vocab_size"] = shape.Vocabulary,
        ["hidden_size"] = shape.Width, ["intermediate_size"] = shape.MlpSize,
        ["num_hidden_layers"] = shape.Layers, ["num_attention_heads"] = shape.Heads, ["num_key_value_heads"] = shape.KeyHeads,
        ["hidden_act"] = "silu", ["max_position_embeddings"] = shape.Context,
        ["rms_norm_eps"] = 1e-5, ["rope_theta"] = ModelFile.Theta, ["attention_bias"] = false, ["mlp_bias"] = false,
        ["tie_word_embeddings"] = shape.Tied, ["bos_token_id"] = 1, ["eos_token_id"] = 2,
        ["torch_dtype"] = "float32",
    };

    private static void WriteJson(string folder, string name, JsonObject json) =>
        File.WriteAllText(Path.Combine(folder, name), json.ToJsonString(Indented) + "\n");
}
