using AnchorScope.Llama2c;

namespace AnchorScope.Tests.Tools;

/// <summary>The trained model of <see cref="PublishedFiles.Stories"/> as a checkpoint, converted anew for each run of its tests.</summary>
public sealed class RealWeights : IDisposable
{
    public string Folder { get; } = Directory.CreateTempSubdirectory("ascope-weights-").FullName;

    public RealWeights()
    {
        // Made even where every test that needs it is skipped.
        if (PublishedFiles.Skip(PublishedFiles.Stories) is null)
            Conversion.Write(PublishedFiles.Path(PublishedFiles.Stories), null, Folder);
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
