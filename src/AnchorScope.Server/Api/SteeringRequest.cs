using AnchorScope.Prompts;

namespace AnchorScope.Server.Api;

/// <summary>The member <c>anchorscope</c> of a request: what to change inside the model, and what to report.</summary>
internal sealed record SteeringRequest
{
    /// <summary>Changes that the client describes itself.</summary>
    public IReadOnlyList<RequestedEdit> Edits { get; init; } = [];

    /// <summary>Whether the knobs of the policy act; false: the client opts out of all of them.</summary>
    public bool Follows { get; init; } = true;

    /// <summary>Values of knobs for this request alone, by name.</summary>
    public IReadOnlyDictionary<string, double> Knobs { get; init; } = new Dictionary<string, double>();

    /// <summary>
    /// The strength of the policy's direction for this request alone: above 0 towards the picture, below 0 towards the text.
    /// </summary>
    public double? Toward { get; init; }

    /// <summary>Whether it changes anything that the policy's defaults do not.</summary>
    public bool Changes => Edits.Count > 0 || ChangesKnobs;

    /// <summary>Whether it opts out of knobs or takes values of its own.</summary>
    public bool ChangesKnobs => !Follows || Knobs.Count > 0 || Toward is not null;

    /// <summary>What the picture's answer and the text's answer are, each with other forms; empty: not named.</summary>
    public IReadOnlyList<string> VisionAnswers { get; init; } = [];

    /// <inheritdoc cref="VisionAnswers"/>
    public IReadOnlyList<string> TextAnswers { get; init; } = [];

    /// <summary>What the response reports: decision, margins, heads.</summary>
    public IReadOnlyList<string> Report { get; init; } = [];

    /// <summary>Which characters of which text parts are what.</summary>
    public IReadOnlyList<RequestedSpan> Spans { get; init; } = [];
}

/// <summary>A range of characters of a text part.</summary>
/// <param name="To">The character after the last one.</param>
/// <param name="Place">Its place in the request, for errors.</param>
internal sealed record RequestedSpan(int Message, int Part, int From, int To, SpanKind Kind, string Place);

/// <summary>A change that a client describes.</summary>
internal abstract record RequestedEdit
{
    /// <summary>Its place in the request, for errors.</summary>
    public required string Place { get; init; }

    /// <summary>Its kind in requests and policies.</summary>
    public abstract string Kind { get; }
}

/// <summary>Multiplies the outputs of heads.</summary>
internal sealed record RequestedHeadGain : RequestedEdit
{
    public override string Kind => "head_gain";

    /// <summary>Name of a head set of the policy; null if the heads are listed.</summary>
    public string? Set { get; init; }

    public IReadOnlyList<(int Layer, int Head)> Heads { get; init; } = [];

    public required float Factor { get; init; }

    /// <summary>The part of the prompt at whose positions they are scaled; null: at all positions, generated ones included.</summary>
    public SpanKind? At { get; init; }
}

/// <summary>Removes attention edges between parts of the prompt, or adds a number to their scores.</summary>
internal sealed record RequestedEdges : RequestedEdit
{
    public override string Kind => Added is null ? "edge_cut" : "edge_boost";

    /// <summary>The part whose keys are read.</summary>
    public required SpanKind From { get; init; }

    /// <summary>The part whose queries read them.</summary>
    public required SpanKind To { get; init; }

    /// <summary>Layers; null for all.</summary>
    public IReadOnlyList<int>? Layers { get; init; }

    /// <summary>Query heads; null for all.</summary>
    public IReadOnlyList<int>? Heads { get; init; }

    /// <summary>What is added to the scores; null: the edges are removed.</summary>
    public float? Added { get; init; }
}
