namespace AnchorScope.Tests.Checkpoints;

/// <summary>A new folder, deleted with what is in it.</summary>
internal sealed class TempFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("anchorscope-").FullName;

    public string File(string name) => System.IO.Path.Combine(Path, name);

    public string Write(string name, ReadOnlySpan<byte> bytes)
    {
        System.IO.File.WriteAllBytes(File(name), bytes);
        return File(name);
    }

    public string Write(string name, string text) => Write(name, System.Text.Encoding.UTF8.GetBytes(text));

    /// <summary>A copy of the files of a folder, without the folders in it.</summary>
    public string Copy(string folder, string name)
    {
        Directory.CreateDirectory(File(name));
        foreach (var file in Directory.GetFiles(folder))
            System.IO.File.Copy(file, System.IO.Path.Combine(File(name), System.IO.Path.GetFileName(file)));
        return File(name);
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
