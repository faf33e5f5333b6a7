using System.Globalization;
using System.Text;

namespace AnchorScope.Server.Audit;

/// <summary>A folder of checkpoints: one signed note a file, named by its number of records in 12 digits.</summary>
internal static class CheckpointFolder
{
    /// <summary>The files, in order; empty if there is no such folder.</summary>
    public static IEnumerable<string> Files(string folder) => Directory.Exists(folder)
        ? Directory.EnumerateFiles(folder).Where(file => Path.GetFileName(file).All(char.IsAsciiDigit)).Order(StringComparer.Ordinal) : [];

    /// <summary>The name of the file for a number of records.</summary>
    public static string Name(long count) => count.ToString("D12", CultureInfo.InvariantCulture);

    /// <summary>The number of records that the newest checkpoint in the folder covers; 0 if there is none.</summary>
    public static long Last(string folder) =>
        Files(folder).Select(file => long.Parse(Path.GetFileName(file), CultureInfo.InvariantCulture)).DefaultIfEmpty(0).Max();

    /// <summary>Writes a checkpoint and waits until it is on the disk.</summary>
    /// <exception cref="IOException">It could not be written; nothing is left of it.</exception>
    public static void Write(string folder, long count, string note)
    {
        var path = Path.Combine(folder, Name(count));
        try
        {
            using (var file = new FileStream(path + ".tmp", FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0))
            {
                file.Write(Encoding.UTF8.GetBytes(note));
                file.Flush(flushToDisk: true);
            }
            File.Move(path + ".tmp", path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            try
            {
                File.Delete(path + ".tmp");
            }
            catch (Exception left) when (left is IOException or UnauthorizedAccessException)
            {
                // It has no name of a checkpoint, so nobody reads it.
            }
            throw new IOException($"{path}: {e.Message}", e);
        }
    }
}
