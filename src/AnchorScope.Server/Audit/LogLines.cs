namespace AnchorScope.Server.Audit;

/// <summary>Reads the lines of a log one after the other, so that a log of any length takes the memory of its longest line.</summary>
internal static class LogLines
{
    /// <summary>The lines without their line breaks, each with its place in the file. A last line without an end is left out: it was
    /// never acknowledged.</summary>
    /// <param name="from">Place of the first line that is read.</param>
    /// <param name="buffer">Bytes that are read at once.</param>
    public static IEnumerable<(long Place, byte[] Line)> Of(string path, long from = 0, int buffer = 1 << 18)
    {
        if (!File.Exists(path)) yield break;
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        file.Position = from;
        var (bytes, start, end, place) = (new byte[buffer], 0, 0, from);
        while (true)
        {
            var next = Array.IndexOf(bytes, (byte)'\n', start, end - start);
            if (next >= 0)
            {
                yield return (place, bytes[start..next]);
                place += next - start + 1;
                start = next + 1;
                continue;
            }
            bytes.AsSpan(start, end - start).CopyTo(bytes);
            (start, end) = (0, end - start);
            if (end == bytes.Length) Array.Resize(ref bytes, 2 * bytes.Length);
            var count = file.Read(bytes, end, bytes.Length - end);
            if (count == 0) yield break;
            end += count;
        }
    }
}
