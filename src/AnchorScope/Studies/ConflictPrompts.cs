using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>
/// Builds prompts from runs of conflict samples: reads pictures, runs the vision tower, renders the conversation. One instance per thread.
/// </summary>
internal sealed class ConflictPrompts(VisionLanguageModel model, PromptLayout layout, ISession session)
{
    /// <summary>
    /// Number of preprocessed pictures that are cached. The two runs of a sample share a picture, and so do runs and their donors.
    /// </summary>
    private const int Kept = 64;

    private readonly Dictionary<string, PixelValues> _pixels = new(StringComparer.Ordinal);
    private readonly Queue<string> _order = [];
    private (string? Path, float[] Features) _last = (null, []);

    /// <summary>Builds the prompt of a run.</summary>
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
