using System.Globalization;

namespace AnchorScope.Server.Audit;

/// <summary>
/// A statement of a log about its records (C2SP tlog-checkpoint): origin, number of records, root of their tree, in a signed note.
/// </summary>
internal sealed record Checkpoint(string Origin, long Count, byte[] Root)
{
    /// <summary>The text that is signed.</summary>
    public string Text => string.Create(CultureInfo.InvariantCulture, $"{Origin}\n{Count}\n{Convert.ToBase64String(Root)}\n");

    /// <summary>Reads a signed note.</summary>
    /// <param name="file">Path, for messages.</param>
    /// <exception cref="InputException">It is no checkpoint, or the key has not signed it.</exception>
    public static Checkpoint Read(string note, LogKey key, string file)
    {
        var text = key.Verify(note) ?? throw InputException.At(file, "signature", $"one of the key {key.Name}", "none that is valid");
        var lines = text.Split('\n');
        var root = new byte[32];
        return lines.Length >= 4 && long.TryParse(lines[1], NumberStyles.None, CultureInfo.InvariantCulture, out var count)
            && Convert.TryFromBase64String(lines[2], root, out var size) && size == 32
            ? new Checkpoint(lines[0], count, root)
            : throw InputException.At(file, "checkpoint", "origin, number of records and root hash", "something else");
    }
}
