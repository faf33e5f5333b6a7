using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Bench;

/// <summary>
/// Writes the language model of a LLaVA-shaped checkpoint in the format of llama.cpp, with the same weights: matrices as stored, norms in
/// float32, rows of queries and keys in the order of its rotary embedding.
/// </summary>
internal static class GgufFile
{
    private const int Alignment = 32;

    private enum Kind
    {
        UInt32 = 4,
        Float32 = 6,
        Text = 8,
        List = 9,
        Int32 = 5,
    }

    /// <summary>A tensor of the new file.</summary>
    /// <param name="Heads">Above 0: its rows are those of as many heads, in halves that have to be interleaved.</param>
    private sealed record Part(string Name, TensorEntry From, int Heads = 0)
    {
        public bool IsNorm => From.Shape.Length == 1;

        public long Bytes => IsNorm ? From.Count * sizeof(float) : From.Bytes;
    }

    /// <param name="folder">The checkpoint: one file of bfloat16 or float16 tensors.</param>
    public static void Write(string folder, string path)
    {
        using var source = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        using var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "config.json")));
        var text = config.RootElement.GetProperty("text_config");
        int Size(string name) => text.GetProperty(name).GetInt32();
        var parts = Parts(source, Size("num_hidden_layers"), Size("num_attention_heads"), Size("num_key_value_heads"));
        using var file = new BinaryWriter(File.Create(path));
        file.Write("GGUF"u8);
        file.Write(3u);
        file.Write((long)parts.Count);
        var members = Members(text, Size);
        file.Write((long)members.Count);
        foreach (var (name, write) in members)
        {
            Text(file, name);
            write(file);
        }
        var offset = 0L;
        foreach (var part in parts)
        {
            Text(file, part.Name);
            file.Write(part.From.Shape.Length);
            foreach (var axis in part.From.Shape.Reverse()) file.Write(axis);
            file.Write(part.IsNorm ? 0 : part.From.Type == StoredType.BF16 ? 30 : 1);
            file.Write(offset);
            offset += Aligned(part.Bytes);
        }
        Pad(file, file.BaseStream.Position);
        foreach (var part in parts)
        {
            Data(file, source, part);
            Pad(file, part.Bytes);
        }
    }

    private static List<Part> Parts(SafetensorsFile source, int layers, int heads, int keyHeads)
    {
        var parts = new List<Part>();
        void Add(string name, string from, int rotated = 0) =>
            parts.Add(new Part($"{name}.weight", source.Entry($"language_model.{from}.weight"), rotated));
        Add("token_embd", "model.embed_tokens");
        Add("output_norm", "model.norm");
        Add("output", "lm_head");
        for (var i = 0; i < layers; i++)
        {
            var (to, from) = ($"blk.{i}", $"model.layers.{i}");
            Add($"{to}.attn_norm", $"{from}.input_layernorm");
            Add($"{to}.attn_q", $"{from}.self_attn.q_proj", heads);
            Add($"{to}.attn_k", $"{from}.self_attn.k_proj", keyHeads);
            Add($"{to}.attn_v", $"{from}.self_attn.v_proj");
            Add($"{to}.attn_output", $"{from}.self_attn.o_proj");
            Add($"{to}.ffn_norm", $"{from}.post_attention_layernorm");
            Add($"{to}.ffn_gate", $"{from}.mlp.gate_proj");
            Add($"{to}.ffn_up", $"{from}.mlp.up_proj");
            Add($"{to}.ffn_down", $"{from}.mlp.down_proj");
        }
        return parts;
    }

    private static List<(string Name, Action<BinaryWriter> Write)> Members(JsonElement text, Func<string, int> size)
    {
        var vocabulary = size("vocab_size");
        Action<BinaryWriter> Number(int value) => file =>
        {
            file.Write((uint)Kind.UInt32);
            file.Write(value);
        };
        Action<BinaryWriter> Real(double value) => file =>
        {
            file.Write((uint)Kind.Float32);
            file.Write((float)value);
        };
        Action<BinaryWriter> Name(string value) => file =>
        {
            file.Write((uint)Kind.Text);
            Text(file, value);
        };
        Action<BinaryWriter> Each(Kind kind, Action<BinaryWriter, int> write) => file =>
        {
            file.Write((uint)Kind.List);
            file.Write((uint)kind);
            file.Write((long)vocabulary);
            for (var i = 0; i < vocabulary; i++) write(file, i);
        };
        return
        [
            ("general.architecture", Name("llama")),
            ("general.name", Name("synthetic")),
            ("general.alignment", Number(Alignment)),
            ("llama.block_count", Number(size("num_hidden_layers"))),
            ("llama.context_length", Number(size("max_position_embeddings"))),
            ("llama.embedding_length", Number(size("hidden_size"))),
            ("llama.feed_forward_length", Number(size("intermediate_size"))),
            ("llama.attention.head_count", Number(size("num_attention_heads"))),
            ("llama.attention.head_count_kv", Number(size("num_key_value_heads"))),
            ("llama.attention.layer_norm_rms_epsilon", Real(text.GetProperty("rms_norm_eps").GetDouble())),
            ("llama.rope.dimension_count", Number(size("hidden_size") / size("num_attention_heads"))),
            ("llama.rope.freq_base", Real(text.GetProperty("rope_theta").GetDouble())),
            ("llama.vocab_size", Number(vocabulary)),
            // Tokens are given and read as numbers: what they are called does not matter, but there has to be a vocabulary.
            ("tokenizer.ggml.model", Name("llama")),
            ("tokenizer.ggml.tokens", Each(Kind.Text, (file, i) => Text(file, i switch
            {
                0 => "<unk>",
                1 => "<s>",
                2 => "</s>",
                < 259 => $"<0x{i - 3:X2}>",
                _ => $"t{i}",
            }))),
            ("tokenizer.ggml.scores", Each(Kind.Float32, (file, i) => file.Write(-(float)i))),
            ("tokenizer.ggml.token_type", Each(Kind.Int32, (file, i) => file.Write(i switch
            {
                0 => 2,
                < 3 => 3,
                < 259 => 6,
                _ => 1,
            }))),
            ("tokenizer.ggml.bos_token_id", Number(1)),
            ("tokenizer.ggml.eos_token_id", Number(2)),
            ("tokenizer.ggml.unknown_token_id", Number(0)),
        ];
    }

    private static unsafe void Data(BinaryWriter file, SafetensorsFile source, Part part)
    {
        if (part.IsNorm)
        {
            file.Write(MemoryMarshal.AsBytes(source.ReadSingles(part.From.Name).AsSpan()));
            return;
        }
        var rows = (int)part.From.Shape[0];
        var address = source.Address(part.From);
        var width = (int)(part.From.Bytes / rows);
        for (var row = 0; row < rows; row++)
        {
            var from = row;
            if (part.Heads > 0)
            {
                // Row 2i of a head is its row i, row 2i + 1 that of its second half.
                var (size, half) = (rows / part.Heads, rows / part.Heads / 2);
                from = row / size * size + row % 2 * half + row % size / 2;
            }
            file.Write(new ReadOnlySpan<byte>(address + (long)from * width, width));
        }
    }

    private static void Text(BinaryWriter file, string value)
    {
        var bytes = Encoding.UTF8.GetBytes(value);
        file.Write((long)bytes.Length);
        file.Write(bytes);
    }

    private static long Aligned(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private static void Pad(BinaryWriter file, long bytes) => file.Write(new byte[Aligned(bytes) - bytes]);
}
