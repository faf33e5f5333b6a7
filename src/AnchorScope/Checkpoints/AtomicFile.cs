using System.Runtime.InteropServices;
using System.Text;

namespace AnchorScope.Checkpoints;

/// <summary>Writes a file by atomic replacement: its path never refers to an incomplete file, whatever fails.</summary>
internal static class AtomicFile
{
    /// <summary>
    /// Writes to a temporary file in the same folder, flushes it to the disk, and renames it to <paramref name="path"/>, replacing an
    /// existing file. A symbolic link is replaced, not followed.
    /// </summary>
    /// <exception cref="InputException">The folder or the disk does not allow it. An existing file is unchanged.</exception>
    public static void Write(string path, Action<Stream> content)
    {
        string target = Path.GetFullPath(path);
        string folder = Path.GetDirectoryName(target) ?? throw InputException.At(path, "file", "a file to write", "a root folder");
        string temporary = Path.Combine(folder, Path.GetRandomFileName() + ".tmp");
        try
        {
            WriteThenRename(temporary, target, content);
            FlushFolder(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: the file cannot be written: {FileError.Reason(e)}", e);
        }
    }

    private static void WriteThenRename(string temporary, string target, Action<Stream> content)
    {
        var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None);
        try
        {
            using (stream)
            {
                content(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, target, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    /// <summary>
    /// Flushes the folder, without which the new name is not on the disk. .NET cannot open folders, so this calls the C library. Windows
    /// has no such call.
    /// </summary>
    private static unsafe void FlushFolder(string folder)
    {
        const int InvalidArgument = 22; // EINVAL: this file system does not flush folders
        if (OperatingSystem.IsWindows())
            return;
        fixed (byte* path = Encoding.UTF8.GetBytes(folder + '\0'))
        {
            int descriptor = Open(path, 0);
            if (descriptor < 0)
                return; // the folder is writable but not listable
            int failed = Flush(descriptor) == 0 ? 0 : Marshal.GetLastPInvokeError();
            _ = Close(descriptor);
            if (failed is not (0 or InvalidArgument))
                throw new IOException($"flushing the folder '{folder}' failed: {Marshal.GetPInvokeErrorMessage(failed)}");
        }
    }

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern unsafe int Open(byte* path, int flags);

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Flush(int descriptor);

    [DllImport("libc", EntryPoint = "close", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Close(int descriptor);
}
