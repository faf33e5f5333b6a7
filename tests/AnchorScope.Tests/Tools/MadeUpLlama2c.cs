using System.Text;

namespace AnchorScope.Tests.Tools;

/// <summary>
/// A random model in llama2.c's file format, with sizes that differ pairwise, and the logits of llama2.c's arithmetic in double precision:
/// adjacent coordinates of a head are rotated as pairs, and tensors are read from their places in that format.
/// </summary>
internal sealed class MadeUpLlama2c
{
    public const int Width = 24, MlpSize = 40, Layers = 3, Heads = 4, KeyHeads = 2, HeadSize = Width / Heads, Context = 32;

    private static readonly string[] Pieces = [" ", "a", "b", "ab", " a", " ab", "c", "\u00e9", "abc", " abc", "  ", "d", "da"];

    private readonly Random _random = new(11);
    private readonly bool _tied;
    private readonly Dictionary<string, float[]> _tensors = new(StringComparer.Ordinal);

    public MadeUpLlama2c(bool tied)
    {
        _tied = tied;
        Random("embedding", Vocabulary * Width, 1);
        Norm("attention_norm", Layers * Width);
        Random("wq", Layers * Width * Width, 0.5f);
        Random("wk", Layers * KeyHeads * HeadSize * Width, 0.5f);
        Random("wv", Layers * KeyHeads * HeadSize * Width, 0.5f);
        Random("wo", Layers * Width * Width, 0.5f);
        Norm("ffn_norm", Layers * Width);
        Random("w1", Layers * MlpSize * Width, 0.5f);
        Random("w2", Layers * Width * MlpSize, 0.5f);
        Random("w3", Layers * MlpSize * Width, 0.5f);
        Norm("final_norm", Width);
        _tensors["real"] = Table(Math.Cos);
        _tensors["imaginary"] = Table(Math.Sin);
        if (!tied) Random("classifier", Vocabulary * Width, 1);
    }

    public static int Vocabulary => 3 + 256 + Pieces.Length;

    /// <summary>model.bin.</summary>
    public byte[] Model()
    {
        using var file = new MemoryStream();
        using var writer = new BinaryWriter(file);
        foreach (var size in new[] { Width, MlpSize, Layers, Heads, KeyHeads, _tied ? Vocabulary : -Vocabulary, Context })
            writer.Write(size);
        foreach (var value in _tensors.Values.SelectMany(v => v)) writer.Write(value);
        return file.ToArray();
    }

    /// <summary>tokenizer.bin.</summary>
    /// <param name="older">Bytes as the character of their number, as older exports have them.</param>
    public static byte[] Tokenizer(bool older = false)
    {
        using var file = new MemoryStream();
        using var writer = new BinaryWriter(file);
        writer.Write(6);
        Token("<unk>", 0);
        Token("\n<s>", 0);
        Token("</s>\n", 0);
        for (var value = 0; value < 256; value++) Token(older ? ((char)value).ToString() : $"<0x{value:X2}>", 0);
        for (var i = 0; i < Pieces.Length; i++) Token(Pieces[i], -i);
        return file.ToArray();

        void Token(string text, float score)
        {
            var utf8 = Encoding.UTF8.GetBytes(text);
            writer.Write(score);
            writer.Write(utf8.Length);
            writer.Write(utf8);
        }
    }

    /// <summary>[position x vocabulary].</summary>
    public float[] Logits(int[] tokens)
    {
        var stream = tokens.Select(t => Row("embedding", t, Width)).ToArray();
        for (var layer = 0; layer < Layers; layer++)
        {
            var (queries, keys, values) = (new List<double[]>(), new List<double[]>(), new List<double[]>());
            for (var position = 0; position < tokens.Length; position++)
            {
                var normed = Normed(stream[position], "attention_norm", layer);
                queries.Add(Turned(Product("wq", layer, Width, normed), position));
                keys.Add(Turned(Product("wk", layer, KeyHeads * HeadSize, normed), position));
                values.Add(Product("wv", layer, KeyHeads * HeadSize, normed));
            }
            for (var position = 0; position < tokens.Length; position++)
            {
                var mixed = new double[Width];
                for (var head = 0; head < Heads; head++)
                {
                    var (q, kv) = (head * HeadSize, head / (Heads / KeyHeads) * HeadSize);
                    var weights = Enumerable.Range(0, position + 1).Select(
                        past => Math.Exp(Enumerable.Range(0, HeadSize).Sum(i => queries[position][q + i] * keys[past][kv + i])
                            / Math.Sqrt(HeadSize))).ToArray();
                    for (var past = 0; past <= position; past++)
                    {
                        for (var i = 0; i < HeadSize; i++) mixed[q + i] += weights[past] / weights.Sum() * values[past][kv + i];
                    }
                }
                stream[position] = Sum(stream[position], Product("wo", layer, Width, mixed));
            }
            for (var position = 0; position < tokens.Length; position++)
            {
                var normed = Normed(stream[position], "ffn_norm", layer);
                var (gate, up) = (Product("w1", layer, MlpSize, normed), Product("w3", layer, MlpSize, normed));
                stream[position] = Sum(
                    stream[position], Product("w2", layer, Width, [.. gate.Zip(up, (g, u) => g / (1 + Math.Exp(-g)) * u)]));
            }
        }
        return [.. stream.SelectMany(x => Product(_tied ? "embedding" : "classifier", 0, Vocabulary, Normed(x, "final_norm", 0)))
            .Select(v => (float)v)];
    }

    /// <summary>Pair (2i, 2i + 1) of every head, by the angle position / 10000^(2i / size).</summary>
    private static double[] Turned(double[] vector, int position)
    {
        var turned = new double[vector.Length];
        for (var i = 0; i < vector.Length; i += 2)
        {
            var angle = position * Math.Pow(10_000, -(double)(i % HeadSize) / HeadSize);
            turned[i] = vector[i] * Math.Cos(angle) - vector[i + 1] * Math.Sin(angle);
            turned[i + 1] = vector[i] * Math.Sin(angle) + vector[i + 1] * Math.Cos(angle);
        }
        return turned;
    }

    private double[] Product(string name, int layer, int outputs, double[] input) =>
        [.. Enumerable.Range(0, outputs).Select(o => Row(name, layer * outputs + o, input.Length).Zip(input, (w, x) => w * x).Sum())];

    private double[] Normed(double[] vector, string name, int layer)
    {
        var scale = 1 / Math.Sqrt(vector.Sum(v => v * v) / Width + 1e-5);
        return [.. vector.Zip(Row(name, layer, Width), (v, w) => v * scale * w)];
    }

    private double[] Row(string name, int row, int columns) => [.. _tensors[name].Skip(row * columns).Take(columns).Select(v => (double)v)];

    private static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    private void Random(string name, int count, float range) =>
        _tensors[name] = [.. Enumerable.Range(0, count).Select(_ => range * (2 * _random.NextSingle() - 1))];

    private void Norm(string name, int count) => _tensors[name] = [.. Enumerable.Range(0, count).Select(_ => 0.5f + _random.NextSingle())];

    private static float[] Table(Func<double, double> of) =>
        [.. Enumerable.Range(0, Context).SelectMany(
            position => Enumerable.Range(0, HeadSize / 2).Select(i => (float)of(position * Math.Pow(10_000, -2.0 * i / HeadSize))))];
}
