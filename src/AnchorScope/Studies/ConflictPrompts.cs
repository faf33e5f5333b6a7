using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>Runs of conflict samples as prompts: reads pictures, runs the vision tower, builds the conversation. One per thread.</summary>
internal sealed class ConflictPrompts(VisionLanguageModel model, PromptLayout layout, ISession session)
{
    /// <summary>Pictures that are kept preprocessed: a sample's two runs share theirs, and so do runs and their donors.</summary>
    private const int Kept = 64;

    private readonly Dictionary<string, PixelValues> _pixels = new(StringComparer.Ordinal);
    private readonly Queue<string> _order = [];
    private (string? Path, float[] Features) _last = (null, []);

    /// <summary>A run as a prompt.</summary>
    public Prompt Of(ConflictRun run)
    {
        if (run.Sample.Image is not { } path) return ConflictPrompt.Build(model, run, layout, null, null);
        var pixels = Pixels(path);
        if (_last.Path != path) _last = (path, session.Features(pixels));
        return ConflictPrompt.Build(model, run, layout, pixels, _last.Features);
    }

    private PixelValues Pixels(string path)
    {
        if (_pixels.TryGetValue(path, out var known)) return known;
        if (_order.Count == Kept) _pixels.Remove(_order.Dequeue());
        _order.Enqueue(path);
        return _pixels[path] = model.Preprocess([Picture.Load(path)]);
    }
}
