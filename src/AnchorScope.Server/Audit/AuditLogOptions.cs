using Microsoft.Win32.SafeHandles;

namespace AnchorScope.Server.Audit;

/// <summary>How a log is kept.</summary>
internal sealed record AuditLogOptions
{
    /// <summary>A second place for checkpoints; null for none. The folder must exist, so that a missing mount is noticed.</summary>
    public string? Anchor { get; init; }

    /// <summary>A command that gets each checkpoint on standard input; null for none.</summary>
    public string? AnchorCommand { get; init; }

    /// <summary>A checkpoint is made after this number of records.</summary>
    public int Every { get; init; } = 64;

    /// <summary>A checkpoint is made after this time if there are new records.</summary>
    public TimeSpan Period { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Writes bytes at a place of a file and waits until they are on the disk. Tests put one here that fails.</summary>
    public Action<SafeFileHandle, byte[], long> Write { get; init; } = (file, bytes, place) =>
    {
        RandomAccess.Write(file, bytes, place);
        RandomAccess.FlushToDisk(file);
    };
}
