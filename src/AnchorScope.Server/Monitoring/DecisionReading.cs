using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Readouts;

namespace AnchorScope.Server.Monitoring;

/// <summary>Which of two answers a request follows, and where inside the model that is decided.</summary>
internal sealed record Decision
{
    /// <summary>"vision", "text", or "neither", by the likeliest first token.</summary>
    public required string Followed { get; init; }

    /// <summary>Largest logit of the picture's answer minus that of the text's, at the last position.</summary>
    public required double Margin { get; init; }

    /// <summary>
    /// MAM towards the picture by layer: lens signal of the picture's answer minus that of the text's, in logits, at the instruction's
    /// tokens [layer].
    /// </summary>
    public required IReadOnlyList<double> AtInstruction { get; init; }

    /// <summary>The same at the last position [layer].</summary>
    public required IReadOnlyList<double> AtLast { get; init; }

    /// <summary>Direct contribution of heads to the margin at the last position, in logits.</summary>
    public required IReadOnlyList<(int Layer, int Head, double Margin)> Heads { get; init; }

    /// <summary>
    /// Share of the attention of the instruction's tokens that goes to each part of the prompt: the mean over these tokens, all heads and
    /// all layers. Empty if it was not read.
    /// </summary>
    public IReadOnlyDictionary<string, double> Attention { get; init; } = new Dictionary<string, double>();
}

/// <summary>What is read of a request beside the decision.</summary>
/// <param name="Heads">The heads whose contributions are read; empty: none.</param>
/// <param name="Watched">Whether the monitor wants it, and with it the attention of the instruction's tokens.</param>
internal sealed record ReadingScope(IReadOnlyList<(int Layer, int Head)> Heads, bool Watched);

/// <summary>
/// Reads the decision of a request from what its own prompt pass recorded: no further pass. The definitions are those of the usual
/// diagnosis.
/// </summary>
internal sealed class DecisionReading
{
    private const int MostRows = 256;

    /// <summary>Named definitions of the numbers.</summary>
    public static Definitions Definitions { get; } = new();

    private readonly VisionLanguageModel _model;
    private readonly AnswerEntities _answers;
    private readonly int[] _instruction;
    private readonly int _last;
    private readonly IReadOnlyList<(int Layer, int Head)> _heads;
    private readonly AttentionShares? _attention;

    /// <param name="answers">First tokens of the picture's answer (following) and of the text's (competing).</param>
    /// <exception cref="InputException">The prompt has no instruction.</exception>
    public DecisionReading(VisionLanguageModel model, Prompt prompt, AnswerEntities answers, ReadingScope scope)
    {
        (_model, _answers, _heads, IsWatched) = (model, answers, scope.Heads, scope.Watched);
        _instruction = [.. prompt.Positions(SpanKind.Instruction).List];
        _last = prompt.Last;
        if (scope.Watched) _attention = AttentionShares.Of(prompt, model.Engine.Shape, _instruction);
    }

    /// <summary>Whether the monitor wants it.</summary>
    public bool IsWatched { get; }

    /// <summary>The answers that are told apart.</summary>
    public AnswerEntities Answers => _answers;

    /// <summary>Sites to record.</summary>
    public IReadOnlyCollection<Site> Sites =>
    [
        Site.ResidPost, .. _heads.Count > 0 ? [Site.HeadOut] : Array.Empty<Site>(),
        .. _attention is not null ? [Site.AttnPattern] : Array.Empty<Site>(),
    ];

    /// <summary>Positions to record.</summary>
    public IReadOnlyCollection<int> Positions => [.. _instruction, _last];

    /// <summary>What was read; null until the prompt is computed.</summary>
    public Decision? Decision { get; private set; }

    /// <summary>Reads it. Called on the scheduler's thread, once the prompt is computed.</summary>
    public void Read(ISession session, Sequence sequence)
    {
        var shape = session.Engine.Shape;
        int[] tokens = [.. _answers.FollowingForms, .. _answers.CompetingForms];
        var (instruction, last) = (new double[shape.Layers], new double[shape.Layers]);
        var width = _instruction.Length + 1;
        // Several layers at once, as far as a pass is not larger than one of the scheduler.
        var together = Math.Clamp(MostRows / width, 1, shape.Layers);
        var rows = new float[together * width * shape.ModelSize];
        for (var first = 0; first < shape.Layers; first += together)
        {
            var count = Math.Min(together, shape.Layers - first);
            for (var i = 0; i < count * width; i++)
            {
                sequence.Row(Site.ResidPost, first + i / width, i % width < _instruction.Length ? _instruction[i % width] : _last)
                    .CopyTo(rows.AsSpan(i * shape.ModelSize));
            }
            var logits = session.Unembed(
                rows.AsSpan(0, count * width * shape.ModelSize), Definitions.Lens == LensNorm.Final, tokens).AsSpan();
            for (var layer = first; layer < first + count; layer++)
            {
                var own = logits.Slice((layer - first) * width * tokens.Length, width * tokens.Length);
                instruction[layer] = Anchor(own, tokens.Length, 0, _answers.FollowingForms.Count)
                    - Anchor(own, tokens.Length, _answers.FollowingForms.Count, _answers.CompetingForms.Count);
                last[layer] = Signal(own, tokens.Length, _instruction.Length, 0, _answers.FollowingForms.Count)
                    - Signal(own, tokens.Length, _instruction.Length, _answers.FollowingForms.Count, _answers.CompetingForms.Count);
            }
        }
        var final = sequence.Row(Site.ResidPost, shape.Layers - 1, _last).ToArray();
        var (followed, margin) = Output(session, final, _answers);
        Decision = new Decision
        {
            Followed = followed,
            Margin = margin,
            AtInstruction = instruction,
            AtLast = last,
            Heads = Contributions(sequence, final),
            Attention = _attention?.Read(sequence) ?? new Dictionary<string, double>(),
        };
    }

    /// <summary>Which answer the likeliest first token belongs to, and the margin towards the picture's in logits.</summary>
    /// <param name="final">The residual stream after the last layer at the last position [d_model].</param>
    public static (string Followed, double Margin) Output(ISession session, ReadOnlySpan<float> final, AnswerEntities answers)
    {
        var all = session.Unembed(final);
        var likeliest = LogitLens.Top(all, 1)[0].Token;
        return (answers.FollowingForms.Contains(likeliest) ? "vision" : answers.CompetingForms.Contains(likeliest) ? "text" : "neither",
            (double)answers.FollowingForms.Max(t => all[t]) - answers.CompetingForms.Max(t => all[t]));
    }

    private List<(int Layer, int Head, double Margin)> Contributions(Sequence sequence, float[] final)
    {
        var contributions = new List<(int Layer, int Head, double Margin)>();
        if (_heads.Count == 0) return contributions;
        var (size, direction) =
            (_model.Engine.Shape.HeadSize, _model.MarginDirection(final, _answers.Following, _answers.Competing));
        foreach (var layer in _heads.GroupBy(head => head.Layer))
        {
            var through = _model.ThroughOutput(layer.Key, direction);
            var z = sequence.Row(Site.HeadOut, layer.Key, _last);
            foreach (var (_, head) in layer)
            {
                var sum = 0.0;
                for (var i = head * size; i < (head + 1) * size; i++) sum += through[i] * z[i];
                contributions.Add((layer.Key, head, sum));
            }
        }
        return contributions;
    }

    /// <summary>The aggregation over the instruction's tokens, of some of the tokens' logits.</summary>
    private double Anchor(ReadOnlySpan<float> logits, int width, int first, int count)
    {
        var signals = new double[_instruction.Length];
        for (var row = 0; row < signals.Length; row++) signals[row] = Signal(logits, width, row, first, count);
        return SignalExtraction.TopK(signals, Definitions.TopK);
    }

    private static double Signal(ReadOnlySpan<float> logits, int width, int row, int first, int count)
    {
        Span<double> forms = stackalloc double[count];
        for (var i = 0; i < count; i++) forms[i] = logits[row * width + first + i];
        return SignalExtraction.Reduce(Definitions.Entities, forms);
    }
}
