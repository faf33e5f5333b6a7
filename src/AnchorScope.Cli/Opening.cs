using AnchorScope.Engines;
using AnchorScope.Models;

namespace AnchorScope.Cli;

/// <summary>Opens checkpoints for commands and prints their warnings on standard error.</summary>
internal static class Opening
{
    /// <summary>The checkpoint in <paramref name="folder"/>, with its warnings printed.</summary>
    public static VisionLanguageModel Model(string folder)
    {
        var model = VisionLanguageModel.Open(folder);
        Warn(model.Warnings);
        return model;
    }

    /// <summary>A CPU session with the selected kernel.</summary>
    public static ISession Session(VisionLanguageModel model, int threads, KernelFamily kernel, CancellationToken cancel = default) =>
        model.Engine.Open(new SessionOptions { Threads = threads, Cancel = cancel }, kernel);

    /// <summary>Prints one line per warning. Warnings do not change the exit code.</summary>
    public static void Warn(IEnumerable<string> warnings)
    {
        foreach (var warning in warnings) Terminal.Warn(warning);
    }
}
