namespace AnchorScope.Tests.Prompts;

/// <summary>A folder for one test, deleted after it.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Name { get; } = Directory.CreateTempSubdirectory("ascope-").FullName;

    public string Write(string name, string text)
    {
        var path = Path.Combine(Name, name);
        File.WriteAllText(path, text);
        return path;
    }

    public void Dispose() => Directory.Delete(Name, recursive: true);
}
