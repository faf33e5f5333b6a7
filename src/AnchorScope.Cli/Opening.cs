using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Tensors;

namespace AnchorScope.Cli;

/// <summary>Opens checkpoints for commands, and says on standard error what is odd about them.</summary>
internal static class Opening
{
    /// <summary>The checkpoint in <paramref name="folder"/>, with its warnings printed.</summary>
    public static VisionLanguageModel Model(string folder)
    {
        var model = VisionLanguageModel.Open(folder);
        Warn(model.Warnings);
        return model;
    }

    /// <summary>A session on the processor, with the kernel that was asked for.</summary>
    public static ISession Session(VisionLanguageModel model, int threads, KernelFamily kernel, CancellationToken cancel = default) =>
        model.Engine.Open(new SessionOptions { Threads = threads, Cancel = cancel }, kernel);

    /// <summary>One line each; they change no exit code.</summary>
    public static void Warn(IEnumerable<string> warnings)
    {
        foreach (var warning in warnings) Terminal.Warn(warning);
    }
}
