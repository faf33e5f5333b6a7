using AnchorScope.Checkpoints;

namespace AnchorScope.Baking;

/// <summary>The files of a checkpoint folder other than its weights.</summary>
internal static class CheckpointFiles
{
    private const int PieceBytes = 4 << 20;

    private static readonly string[] WeightEndings = [".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx", ".h5", ".msgpack"];

    /// <summary>
    /// Relative paths, sorted: all files of the folder and its subfolders, except those that a baked folder adds. Folders that
    /// begin with a dot contain the state of other programs (.git, .cache) and are left out.
    /// </summary>
    /// <exception cref="InputException">The folder cannot be read, or contains a link to another folder.</exception>
    public static IReadOnlyList<string> Of(Checkpoint checkpoint)
    {
        var own = checkpoint.Files.Select(file => Path.GetFileName(file.Path)).Append(ModelCard.FileName).Append(BakedRecord.FileName)
            .Append(TunedRecord.FileName).ToHashSet(StringComparer.Ordinal);
        try
        {
            return [.. Under(checkpoint.Folder, "").Where(name => !own.Contains(name)).Order(StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{checkpoint.Folder}: cannot be read: {FileError.Reason(e)}", e);
        }
    }

    /// <summary>Whether a name looks like weights in a format that is not supported.</summary>
    public static bool IsWeights(string name) => WeightEndings.Any(ending => name.EndsWith(ending, StringComparison.OrdinalIgnoreCase));

    /// <summary>Size of a file; for a link, that of its target.</summary>
    public static long Bytes(string path)
    {
        using var file = MappedFile.Open(path);
        return file.Length;
    }

    /// <summary>Reads all bytes of a file in pieces.</summary>
    /// <param name="take">Receives the offset of a piece and its bytes.</param>
    public static void Read(MappedFile file, Action<long, ReadOnlySpan<byte>> take, CancellationToken cancel)
    {
        for (var at = 0L; at < file.Length; at += PieceBytes)
        {
            cancel.ThrowIfCancellationRequested();
            take(at, file.Slice(at, (int)Math.Min(PieceBytes, file.Length - at)));
        }
    }

    private static IEnumerable<string> Under(string folder, string before)
    {
        foreach (var file in new DirectoryInfo(folder).EnumerateFiles()) yield return before + file.Name;
        foreach (var inner in new DirectoryInfo(folder).EnumerateDirectories())
        {
            if (inner.Name.StartsWith('.')) continue;
            if (inner.LinkTarget is not null)
                throw InputException.At(folder, Quoted.Line(inner.Name), "a file or a folder",
                    "a link to a folder, which may lead anywhere");
            foreach (var name in Under(inner.FullName, $"{before}{inner.Name}/")) yield return name;
        }
    }
}
