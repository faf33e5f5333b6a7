using System.Globalization;

namespace AnchorScope.Studies;

/// <summary>
/// The name of the intervention on a run of a diagnosis. These names are keys in results.jsonl. They are built here and never parsed.
/// </summary>
/// <param name="Text">The key in results.jsonl.</param>
internal readonly record struct ConditionId(string Text)
{
    /// <summary>No intervention.</summary>
    public static ConditionId Baseline { get; } = new("baseline");

    /// <summary>An edge cut in the layers of one window.</summary>
    public static ConditionId Knockout(string edge, int window, int layer) => Named($"knockout/{edge}/w{window}/L{layer}");

    /// <summary>An edge cut in all layers.</summary>
    public static ConditionId KnockoutAll(string edge) => Named($"knockout/{edge}/all");

    /// <summary>A set of heads removed.</summary>
    public static ConditionId Block(HeadSetId set) => Named($"block/{set.Text}");

    /// <summary>A set of heads multiplied by a factor.</summary>
    public static ConditionId Gain(HeadSetId set, double factor) => Named($"gain/{set.Text}/{factor:R}");

    /// <summary>
    /// A random set, by draw, multiplied by a factor that changes the residual stream as much as amplifying the chosen set does.
    /// </summary>
    public static ConditionId MatchedGain(int draw) => Named($"gain/matched/{draw}");

    /// <summary>One head removed.</summary>
    public static ConditionId Head(int layer, int head) => Named($"head/{layer}.{head}");

    /// <summary>One neuron set to 0.</summary>
    public static ConditionId Neuron(int layer, int neuron) => Named($"neuron/{layer}.{neuron}");

    /// <summary>One component of a head's output set to 0.</summary>
    public static ConditionId Component(int layer, int head, int component) => Named($"component/{layer}.{head}.{component}");

    /// <summary>An edge cut in one head.</summary>
    public static ConditionId HeadEdge(string edge, int layer, int head) => Named($"edge/{edge}/{layer}.{head}");

    /// <summary>The key in results.jsonl.</summary>
    public static implicit operator string(ConditionId condition) => condition.Text;

    /// <inheritdoc/>
    public override string ToString() => Text;

    private static ConditionId Named(FormattableString name) => new(name.ToString(CultureInfo.InvariantCulture));
}
