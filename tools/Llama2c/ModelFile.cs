using System.Buffers.Binary;
using AnchorScope.Checkpoints;

namespace AnchorScope.Llama2c;

/// <summary>
/// A model.bin without version: the header, then every tensor as float32, each kind of all layers together, in a fixed order.
/// </summary>
internal sealed class ModelFile : IDisposable
{
    /// <summary>What llama2.c takes where Hugging Face has a key: base of the rotary embedding.</summary>
    public const double Theta = 10_000;

    private const int Piece = 1 << 20; // bytes copied at once
    private const double TableTolerance = 1e-5; // of cosines and sines, computed in float32

    private readonly MappedFile _file;

    private ModelFile(string path, MappedFile file, bool alone)
    {
        _file = file;
        Shape = ModelShape.Read(path, file);
        var (width, mlp) = (Shape.Width, Shape.MlpSize);
        var keys = Shape.KeyHeads * Shape.HeadSize;
        var tensors = new List<TensorEntry>();
        long at = ModelShape.Bytes;
        void Take(string name, params long[] shape)
        {
            var bytes = shape.Aggregate(1L, (count, axis) => count * axis) * sizeof(float);
            tensors.Add(new TensorEntry(name + ".weight", StoredType.F32, shape, at, bytes));
            at += bytes;
        }
        void TakeEach(string name, params long[] shape)
        {
            for (var layer = 0; layer < Shape.Layers; layer++) Take($"model.layers.{layer}.{name}", shape);
        }
        Take("model.embed_tokens", Shape.Vocabulary, width);
        TakeEach("input_layernorm", width);
        TakeEach("self_attn.q_proj", width, width);
        TakeEach("self_attn.k_proj", keys, width);
        TakeEach("self_attn.v_proj", keys, width);
        TakeEach("self_attn.o_proj", width, width);
        TakeEach("post_attention_layernorm", width);
        TakeEach("mlp.gate_proj", mlp, width);
        TakeEach("mlp.down_proj", width, mlp);
        TakeEach("mlp.up_proj", mlp, width);
        Take("model.norm", width);
        var tables = at;
        at += (long)Shape.Context * Shape.HeadSize * sizeof(float); // cosines, then sines, of half a head each
        if (!Shape.Tied) Take("lm_head", Shape.Vocabulary, width);
        (Tensors, End) = (tensors, at);
        if (alone ? file.Length != End : file.Length < End)
            throw InputException.At(path, "weights", $"{End} bytes for the sizes in its header", $"{file.Length}");
        CheckRotaryTables(path, tables);
    }

    public ModelShape Shape { get; }

    /// <summary>With Hugging Face's names; the offsets are this file's.</summary>
    public IReadOnlyList<TensorEntry> Tensors { get; }

    /// <summary>One past the last byte of the model.</summary>
    public long End { get; }

    /// <summary>Bytes in the file: more than <see cref="End"/> where a tokenizer follows.</summary>
    public long Length => _file.Length;

    /// <param name="alone">Whether nothing may follow the model.</param>
    /// <exception cref="InputException">Not such a file, or of another size.</exception>
    public static ModelFile Open(string path, bool alone)
    {
        var file = MappedFile.Open(path);
        try
        {
            return new ModelFile(path, file, alone);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>What follows the model.</summary>
    public ReadOnlySpan<byte> Rest(int bytes) => _file.Slice(End, bytes);

    /// <summary>Writes one of <see cref="Tensors"/> as Hugging Face stores it.</summary>
    public void Copy(TensorEntry tensor, Stream to)
    {
        if (tensor.Name.EndsWith("q_proj.weight", StringComparison.Ordinal)
            || tensor.Name.EndsWith("k_proj.weight", StringComparison.Ordinal))
        {
            var row = (int)(tensor.Bytes / tensor.Shape[0]);
            for (var i = 0; i < tensor.Shape[0]; i++) to.Write(_file.Slice(tensor.Offset + (long)Interleaved(i) * row, row));
            return;
        }
        for (long done = 0; done < tensor.Bytes; done += Piece)
            to.Write(_file.Slice(tensor.Offset + done, (int)Math.Min(Piece, tensor.Bytes - done)));
    }

    /// <summary>
    /// llama2.c turns neighbours (0, 1), (2, 3) … of a head by one angle each, Hugging Face the two halves (0, n/2), (1, n/2 + 1) …: where
    /// a row of queries or keys stands in this file.
    /// </summary>
    private int Interleaved(int row)
    {
        var (head, at, half) = (row / Shape.HeadSize, row % Shape.HeadSize, Shape.HeadSize / 2);
        return head * Shape.HeadSize + (at < half ? 2 * at : 2 * (at - half) + 1);
    }

    /// <summary>
    /// The tables follow from the base, which the header does not name. Another one would give another model, so the first position with
    /// angles is compared.
    /// </summary>
    private void CheckRotaryTables(string path, long at)
    {
        if (Shape.Context < 2) return;
        var half = Shape.HeadSize / 2;
        for (var i = 0; i < half; i++)
        {
            var angle = Math.Pow(Theta, -2.0 * i / Shape.HeadSize);
            Check("freq_cis_real", half + i, Math.Cos(angle), i);
            Check("freq_cis_imag", (Shape.Context + 1L) * half + i, Math.Sin(angle), i);
        }

        void Check(string name, long index, double expected, int pair)
        {
            var found = BinaryPrimitives.ReadSingleLittleEndian(_file.Slice(at + index * sizeof(float), sizeof(float)));
            // Written so that NaN fails.
            if (!(Math.Abs(found - expected) <= TableTolerance))
                throw InputException.At(path, $"{name}[1][{pair}]", $"{expected:0.#####} (rotary base {Theta}, sizes as in the header)",
                    $"{found}");
        }
    }

    public void Dispose() => _file.Dispose();
}
