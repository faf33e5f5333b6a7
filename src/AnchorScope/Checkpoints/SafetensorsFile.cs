using System.Security.Cryptography;

namespace AnchorScope.Checkpoints;

/// <summary>
/// A memory-mapped, read-only safetensors file. Opening reads only the header; tensors are read from disk on first access.
/// </summary>
/// <remarks>Any number of threads may read. <see cref="Dispose"/> unmaps the file; addresses must not be used after it.</remarks>
public sealed unsafe class SafetensorsFile : ITensorMemory, IDisposable
{
    private readonly MappedFile bytes;

    private SafetensorsFile(string path, MappedFile bytes)
    {
        Path = path;
        this.bytes = bytes;
        (Tensors, Metadata) = SafetensorsHeader.Of(path, bytes);
    }

    /// <summary>The path given to <see cref="Open"/>.</summary>
    public string Path { get; }

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, TensorEntry> Tensors { get; }

    /// <summary>The header's <c>__metadata__</c>; empty if there is none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Maps the file and reads its header.</summary>
    /// <exception cref="InputException">The file cannot be read, or violates the format.</exception>
    public static SafetensorsFile Open(string path)
    {
        var mapped = MappedFile.Open(path);
        try
        {
            return new SafetensorsFile(path, mapped);
        }
        catch
        {
            mapped.Dispose();
            throw;
        }
    }

    /// <summary>The tensor with this name.</summary>
    /// <exception cref="InputException">There is no such tensor.</exception>
    public TensorEntry Entry(string name) =>
        Tensors.TryGetValue(name, out var entry)
            ? entry
            : throw new InputException($"{Path}: there is no tensor {Quoted.Of(name)}{NearNames.Clause(name, Tensors.Keys)}");

    /// <inheritdoc/>
    byte* ITensorMemory.Address(TensorEntry entry) => Address(entry);

    /// <summary>
    /// Address of the tensor's first byte. <see cref="TensorEntry.Bytes"/> bytes may be read until this file is disposed of.
    /// </summary>
    /// <param name="entry">One of <see cref="Tensors"/>.</param>
    /// <returns>An address that is not necessarily aligned to the element size.</returns>
    internal byte* Address(TensorEntry entry)
    {
        if (!Tensors.TryGetValue(entry.Name, out var own) || !ReferenceEquals(own, entry))
            throw new ArgumentException($"the tensor '{entry.Name}' is not an entry of {Path}", nameof(entry));
        return bytes.Address(entry.Offset, entry.Bytes);
    }

    /// <summary>A copy of a float tensor. F16 and BF16 are widened exactly; F64 is rounded to nearest.</summary>
    /// <returns>Row-major values.</returns>
    /// <exception cref="InputException">There is no such tensor, its type is not a float type, or it has 2^31 or more elements.</exception>
    public float[] ReadSingles(string name)
    {
        var entry = Entry(name);
        if (!entry.Type.IsFloat)
            throw InputException.At(Path, $"tensor {Quoted.Of(name)}: dtype", "F32, F16, BF16 or F64", entry.Type.Name);
        var values = new float[ArrayLength(entry)];
        Widening.ToSingles(Address(entry), entry.Type, values);
        return values;
    }

    /// <summary>A copy of a tensor of integers, or of Bool as 0 and 1.</summary>
    /// <returns>Row-major values.</returns>
    /// <exception cref="InputException">There is no such tensor, its type is a float type, or it has 2^31 or more elements.</exception>
    public long[] ReadInt64s(string name)
    {
        var entry = Entry(name);
        if (entry.Type.IsFloat)
            throw InputException.At(Path, $"tensor {Quoted.Of(name)}: dtype", "I64, I32, I16, I8, U8 or BOOL", entry.Type.Name);
        var values = new long[ArrayLength(entry)];
        Widening.ToInt64s(Address(entry), entry.Type, values);
        return values;
    }

    /// <summary>Unmaps the file.</summary>
    public void Dispose() => bytes.Dispose();

    /// <summary>Length of the whole file in bytes.</summary>
    internal long Length => bytes.Length;

    /// <summary>A part of the whole file, including the header.</summary>
    internal ReadOnlySpan<byte> Slice(long offset, int count) => bytes.Slice(offset, count);

    /// <summary>Lower-case hexadecimal digest of the whole file, as <c>sha256sum</c> prints it.</summary>
    internal string Sha256()
    {
        const int Piece = 1 << 26;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (long at = 0; at < bytes.Length; at += Piece)
            hash.AppendData(bytes.Slice(at, (int)Math.Min(Piece, bytes.Length - at)));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private long ArrayLength(TensorEntry entry) =>
        entry.Count <= Array.MaxLength
            ? entry.Count
            : throw InputException.At(
                Path, $"tensor {Quoted.Of(entry.Name)}", $"at most {Array.MaxLength} elements to copy", $"{entry.Count}");
}
