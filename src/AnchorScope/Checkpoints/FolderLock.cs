namespace AnchorScope.Checkpoints;

/// <summary>
/// Reserves a folder for one process. While it runs, a second process that tries to write there fails. The operating system releases the
/// lock when the process ends, whatever the reason.
/// </summary>
internal sealed class FolderLock : IDisposable
{
    /// <summary>Name of the lock file in the folder.</summary>
    public const string FileName = ".ascope.lock";

    private readonly FileStream _file;

    private FolderLock(FileStream file) => _file = file;

    /// <summary>Locks an existing folder.</summary>
    /// <exception cref="InputException">Another process holds the lock, or the folder is not writable.</exception>
    public static FolderLock Take(string folder)
    {
        var path = Path.Combine(folder, FileName);
        try
        {
            return new FolderLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (Exception e) when (e is UnauthorizedAccessException || (e is IOException && !IsHeld(e)))
        {
            throw new InputException($"{folder}: cannot be written: {FileError.Reason(e)}", e);
        }
        catch (IOException e)
        {
            throw new InputException($"{folder}: another process is writing there; wait until it ends, or name another folder with --out",
                e);
        }
    }

    /// <summary>Whether a folder contains anything except a lock file.</summary>
    public static bool HasFiles(string folder) =>
        Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any(entry => Path.GetFileName(entry) != FileName);

    /// <summary>EWOULDBLOCK of Linux and macOS, or a sharing violation of Windows.</summary>
    private static bool IsHeld(Exception e) => e.HResult is 11 or 35 or unchecked((int)0x80070020);

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            File.Delete(_file.Name);
        }
        catch (IOException)
        {
            // The file remains, unlocked; the next process reuses it.
        }
        _file.Dispose();
    }
}
