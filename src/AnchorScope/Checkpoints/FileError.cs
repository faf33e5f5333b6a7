namespace AnchorScope.Checkpoints;

/// <summary>Describes why a file cannot be read or written.</summary>
internal static class FileError
{
    /// <summary>The reason, without the path, which is already in the message.</summary>
    public static string Reason(Exception e) => e switch
    {
        FileNotFoundException => "there is no such file",
        DirectoryNotFoundException => "there is no such folder",
        UnauthorizedAccessException => "it is a folder, or access is denied",
        _ => e.Message,
    };
}
