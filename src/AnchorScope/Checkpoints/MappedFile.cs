using System.IO.MemoryMappedFiles;

namespace AnchorScope.Checkpoints;

/// <summary>All bytes of a file, mapped read-only.</summary>
/// <remarks>
/// The operating system loads pages on first access. If another process shortens the file meanwhile, accessing the lost pages terminates
/// this process. Replace weight files by renaming, as <see cref="AtomicFile"/> does.
/// </remarks>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile? mapping;
    private readonly MemoryMappedViewAccessor? view;
    private byte* start;

    private MappedFile(string path)
    {
        // The length is checked before opening, because opening a named pipe blocks until it has a writer; its length is 0. For a symbolic
        // link, this is the length of the link itself, so the length is checked again after opening.
        if (new FileInfo(path).Length == 0)
            return;
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        Length = file.CanSeek ? file.Length : 0;
        if (Length == 0)
        {
            file.Dispose();
            return;
        }
        mapping = MemoryMappedFile.CreateFromFile(file, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
        view = mapping.CreateViewAccessor(0, Length, MemoryMappedFileAccess.Read);
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        start += view.PointerOffset;
    }

    /// <summary>Length of the file in bytes.</summary>
    public long Length { get; }

    /// <exception cref="InputException">The file is missing, a folder, or not readable.</exception>
    public static MappedFile Open(string path)
    {
        if (Directory.Exists(path))
            throw InputException.At(path, "path", "a file", "a folder");
        try
        {
            return new MappedFile(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: the file cannot be read: {FileError.Reason(e)}", e);
        }
    }

    /// <summary>A part of the file.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The part is not inside the file.</exception>
    public ReadOnlySpan<byte> Slice(long offset, int bytes) => new(Address(offset, bytes), bytes);

    /// <summary>Address of a part of the file in memory.</summary>
    public byte* Address(long offset, long bytes)
    {
        ObjectDisposedException.ThrowIf(start == null && Length > 0, this);
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - bytes);
        return start + offset;
    }

    public void Dispose()
    {
        if (start != null)
            view!.SafeMemoryMappedViewHandle.ReleasePointer();
        start = null;
        view?.Dispose();
        mapping?.Dispose();
    }
}
