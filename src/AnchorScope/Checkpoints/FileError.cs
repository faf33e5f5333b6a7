namespace AnchorScope.Checkpoints;

/// <summary>Why a file cannot be read or written, in plain words.</summary>
internal static class FileError
{
    /// <summary>The reason without the path, which the message has already.</summary>
    public static string Reason(Exception e) => e switch
    {
        FileNotFoundException => "there is no such file",
        DirectoryNotFoundException => "there is no such folder",
        UnauthorizedAccessException => "it is a folder, or access is denied",
        _ => e.Message,
    };
}
