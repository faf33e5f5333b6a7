using System.Globalization;

namespace AnchorScope.Server.Audit;

/// <summary>
/// Requests as they were sent, one file each, readable for the server's user only. They are apart from the log, so that they can be
/// deleted without breaking it.
/// </summary>
internal sealed class ContentFolder
{
    private readonly string _folder;
    private readonly TimeProvider _time;

    public ContentFolder(string folder, TimeProvider time)
    {
        (_folder, _time) = (folder, time);
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(folder);
        else
        {
            const UnixFileMode Mine = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            Directory.CreateDirectory(folder, Mine);
            // A folder of an earlier version may be open to others.
            File.SetUnixFileMode(folder, Mine);
        }
    }

    /// <summary>Keeps a request.</summary>
    public void Write(string id, ReadOnlySpan<byte> body)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, BufferSize = 0 };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        try
        {
            using var file = new FileStream(PathOf(id), options);
            file.Write(body);
        }
        catch (IOException)
        {
            Delete(id);
            throw;
        }
    }

    /// <summary>Removes a request whose record could not be written.</summary>
    public void Delete(string id)
    {
        try
        {
            File.Delete(PathOf(id));
        }
        catch (IOException)
        {
            // The sweep removes it when its time has come.
        }
    }

    /// <summary>Deletes what is older.</summary>
    /// <returns>How many files were deleted, and how many are left.</returns>
    public (int Deleted, int Left) Sweep(int days)
    {
        var (deleted, left, oldest) = (0, 0, _time.GetUtcNow().AddDays(-days));
        foreach (var file in Directory.EnumerateFiles(_folder))
        {
            try
            {
                if (new DateTimeOffset(File.GetLastWriteTimeUtc(file)) >= oldest) left++;
                else
                {
                    File.Delete(file);
                    deleted++;
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                left++;
            }
        }
        return (deleted, left);
    }

    private string PathOf(string id) => Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"{id}.json"));
}
