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
}

/// <summary>
/// Reads the decision of a request from what its own prompt pass recorded: no further pass. The definitions are those of the usual
/// diagnosis.
/// </summary>
internal sealed class DecisionReading
{
    /// <summary>Named definitions of the numbers.</summary>
    public static Definitions Definitions { get; } = new();

    private readonly VisionLanguageModel _model;
    private readonly AnswerEntities _answers;
    private readonly int[] _instruction;
    private readonly int _last;
    private readonly IReadOnlyList<(int Layer, int Head)> _heads;

    /// <param name="answers">First tokens of the picture's answer (following) and of the text's (competing).</param>
    /// <param name="heads">The heads whose contributions are read; empty: none.</param>
    /// <exception cref="InputException">The prompt has no instruction.</exception>
    public DecisionReading(VisionLanguageModel model, Prompt prompt, AnswerEntities answers, IReadOnlyList<(int Layer, int Head)> heads)
    {
        (_model, _answers, _heads) = (model, answers, heads);
        _instruction = [.. prompt.Positions(SpanKind.Instruction).List];
        _last = prompt.Last;
    }

    /// <summary>Sites to record.</summary>
    public IReadOnlyCollection<Site> Sites => _heads.Count == 0 ? [Site.ResidPost] : [Site.ResidPost, Site.HeadOut];

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
        var rows = new float[(_instruction.Length + 1) * shape.ModelSize];
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            for (var i = 0; i <= _instruction.Length; i++)
            {
                sequence.Row(Site.ResidPost, layer, i < _instruction.Length ? _instruction[i] : _last)
                    .CopyTo(rows.AsSpan(i * shape.ModelSize));
            }
            var logits = session.Unembed(rows, Definitions.Lens == LensNorm.Final, tokens);
            instruction[layer] = Anchor(logits, tokens.Length, 0, _answers.FollowingForms.Count)
                - Anchor(logits, tokens.Length, _answers.FollowingForms.Count, _answers.CompetingForms.Count);
            last[layer] = Signal(logits, tokens.Length, _instruction.Length, 0, _answers.FollowingForms.Count)
                - Signal(logits, tokens.Length, _instruction.Length, _answers.FollowingForms.Count, _answers.CompetingForms.Count);
        }
        var final = sequence.Row(Site.ResidPost, shape.Layers - 1, _last).ToArray();
        var all = session.Unembed(final);
        var likeliest = LogitLens.Top(all, 1)[0].Token;
        Decision = new Decision
        {
            Followed = _answers.FollowingForms.Contains(likeliest)
                ? "vision" : _answers.CompetingForms.Contains(likeliest) ? "text" : "neither",
            Margin = (double)_answers.FollowingForms.Max(t => all[t]) - _answers.CompetingForms.Max(t => all[t]),
            AtInstruction = instruction,
            AtLast = last,
            Heads = Contributions(sequence, final),
        };
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
    private double Anchor(float[] logits, int width, int first, int count) => SignalExtraction.TopK(
        [.. Enumerable.Range(0, _instruction.Length).Select(row => Signal(logits, width, row, first, count))], Definitions.TopK);

    private static double Signal(float[] logits, int width, int row, int first, int count)
    {
        Span<double> forms = stackalloc double[count];
        for (var i = 0; i < count; i++) forms[i] = logits[row * width + first + i];
        return SignalExtraction.Reduce(Definitions.Entities, forms);
    }
}
