using AnchorScope.Models;

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

    /// <summary>One line each; they change no exit code.</summary>
    public static void Warn(IEnumerable<string> warnings)
    {
        foreach (var warning in warnings) Terminal.Warn(warning);
    }
}
