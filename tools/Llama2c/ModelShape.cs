using System.Buffers.Binary;
using AnchorScope.Checkpoints;

namespace AnchorScope.Llama2c;

/// <summary>
/// The header of a model.bin without version: seven int32, of which the vocabulary's sign says whether the output head is the embedding.
/// </summary>
internal sealed record ModelShape
{
    /// <summary>Of the header.</summary>
    public const int Bytes = 7 * sizeof(int);

    // Far above any model, and the sizes of all tensors still add up in 64 bits.
    private const int LargestSize = 1 << 20;
    private const int MostLayers = 1 << 12;

    // "ak42", with which files of a later version begin; they are laid out otherwise.
    private const int VersionMark = 0x616b3432;

    public required int Width { get; init; }

    public required int MlpSize { get; init; }

    public required int Layers { get; init; }

    public required int Heads { get; init; }

    public required int KeyHeads { get; init; }

    public required int Vocabulary { get; init; }

    /// <summary>Whether the output head is the embedding.</summary>
    public required bool Tied { get; init; }

    /// <summary>Number of positions that the model was trained for.</summary>
    public required int Context { get; init; }

    public int HeadSize => Width / Heads;

    /// <exception cref="InputException">Cut off, of a later version, or sizes that no model has.</exception>
    public static ModelShape Read(string path, MappedFile file)
    {
        if (file.Length < Bytes) throw InputException.At(path, "header", $"{Bytes} bytes", $"{file.Length}");
        int Field(int index) => BinaryPrimitives.ReadInt32LittleEndian(file.Slice(index * sizeof(int), sizeof(int)));
        int Size(int index, string name, int most = LargestSize) => Field(index) is var size && size >= 1 && size <= most
            ? size : throw InputException.At(path, $"header: {name}", $"1 to {most}", $"{size}");
        void Require(string name, bool holds, string expected, int found)
        {
            if (!holds) throw InputException.At(path, $"header: {name}", expected, $"{found}");
        }
        if (Field(0) == VersionMark)
            throw InputException.At(path, "header", "the layout without version, which begins with the size dim",
                "the mark ak42 of a later version");
        var vocabulary = Field(5);
        var shape = new ModelShape
        {
            Width = Size(0, "dim"),
            MlpSize = Size(1, "hidden_dim"),
            Layers = Size(2, "n_layers", MostLayers),
            Heads = Size(3, "n_heads"),
            KeyHeads = Size(4, "n_kv_heads"),
            Vocabulary = (int)Math.Min(Math.Abs((long)vocabulary), int.MaxValue),
            Tied = vocabulary > 0,
            Context = Size(6, "seq_len"),
        };
        Require("vocab_size", shape.Vocabulary is >= 1 and <= LargestSize,
            $"1 to {LargestSize}, negative where the model has an output head of its own", vocabulary);
        Require("n_heads", shape.Width % shape.Heads == 0 && shape.HeadSize % 2 == 0,
            $"a number that divides dim {shape.Width} into heads of an even size", shape.Heads);
        Require("n_kv_heads", shape.Heads % shape.KeyHeads == 0, $"a divisor of n_heads {shape.Heads}", shape.KeyHeads);
        return shape;
    }
}
