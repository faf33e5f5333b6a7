using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Studies;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Studies;

/// <summary>
/// The effect of an edit, checked on the activations themselves: an error in code shared by the fast computation and its oracle would pass
/// every comparison of the two.
/// </summary>
public sealed class EditMeaningTests : IDisposable
{
    private const int Layer = 1;

    private readonly Tiny _tiny = Tiny.Open();

    private DecoderShape Shape => _tiny.Decoder.Shape;

    private int Last => _tiny.Prompt.Length - 1;

    public void Dispose() => _tiny.Dispose();

    /// <summary>Attention of every head at the last position [head x key] in one layer.</summary>
    private float[][] Attention(Intervention intervention, int layer)
    {
        var trace = new Trace([Site.AttnPattern], [Last]);
        _tiny.Alone(intervention, trace);
        return [.. trace[Site.AttnPattern, layer].Chunk(_tiny.Prompt.Length)];
    }

    /// <summary>Cut keys have exactly no weight, the query's own key among them, and the others share it out in proportion.</summary>
    [Fact]
    public void ACut_TakesTheQuerysOwnKeyAsWell()
    {
        int[] cut = [3, Last];
        var plain = Attention(Intervention.None, Layer);
        var edited = Attention(Intervention.Knockout("own", [Layer], Positions.Of(Last), Positions.Of(cut)), Layer);
        for (var head = 0; head < Shape.Heads; head++)
        {
            Assert.All(cut, key => Assert.Equal(0, edited[head][key]));
            Assert.All(cut, key => Assert.True(plain[head][key] > 0));
            var left = 1 - cut.Sum(key => (double)plain[head][key]);
            for (var key = 0; key < Last; key++)
            {
                if (!cut.Contains(key)) Assert.Equal(plain[head][key] / left, edited[head][key], 1e-6);
            }
        }
    }

    /// <summary>
    /// A cut for all heads works together with a cut for a single head, in either order, and neither affects more than it states.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ACutOfAllHeads_HoldsBesideThatOfOne(bool allFirst)
    {
        var all = new Edit(Site.AttnScores, Layer, Operation.Set) { Positions = Positions.Of(Last), Keys = Positions.Of(4) };
        var one = all with { Keys = Positions.Of(6), Heads = [2] };
        var edited = Attention(new Intervention("both", allFirst ? [all, one] : [one, all]), Layer);
        for (var head = 0; head < Shape.Heads; head++)
        {
            Assert.Equal(0, edited[head][4]);
            Assert.Equal(head == 2, edited[head][6] == 0);
            Assert.True(edited[head][5] > 0);
        }
    }

    /// <summary>
    /// After the layer the residual stream is the original plus strength times vector, bit for bit; other positions are unchanged.
    /// </summary>
    [Theory]
    [InlineData(1f)]
    [InlineData(0.5f)]
    [InlineData(-3f)]
    [InlineData(2.7f)]
    public void Steering_AddsStrengthTimesTheVector(float strength)
    {
        float[] vector = [.. Enumerable.Range(0, Shape.ModelSize).Select(i => MathF.Sin(i + 1))];
        float[] Residual(Intervention intervention)
        {
            var trace = new Trace([Site.ResidPost], [Last - 1, Last]);
            _tiny.Alone(intervention, trace);
            return trace[Site.ResidPost, Layer];
        }
        var (plain, steered) = (Residual(Intervention.None), Residual(Intervention.Steer(Layer, vector, strength, Positions.Of(Last))));
        Assert.Equal(plain[..Shape.ModelSize], steered[..Shape.ModelSize]);
        for (var i = 0; i < Shape.ModelSize; i++)
        {
            var expected = plain[Shape.ModelSize + i] + (double)strength * vector[i];
            Assert.Equal(expected, steered[Shape.ModelSize + i], 4e-7 * Math.Max(1, Math.Abs(expected)));
        }
    }

    /// <summary>
    /// The planner must not drop an edit that reaches the output: edits of each site in the last layer, at an earlier and at the last
    /// position.
    /// </summary>
    [Fact]
    public void EditsOfTheLastLayer_ReachTheOutput_WhereTheyCan()
    {
        var deep = Shape.Layers - 1;
        var list = new List<(Intervention Intervention, bool Reaches)>();
        foreach (var site in Enum.GetValues<Site>())
        {
            foreach (var at in new[] { Last - 2, Last })
                list.Add((new Intervention($"{site} at {at}", Replaced(site, deep, at)), at == Last || IsReadByLaterPositions(site)));
        }
        using var baseline = _tiny.Session.Record(_tiny.Prompt);
        var got = new float[list.Count][];
        Sweep.LastLogits(_tiny.Session, [.. list.Select(v => new SweepItem(baseline, v.Intervention))],
            (i, logits) => got[i] = logits.ToArray());
        var plain = _tiny.LastAlone(Intervention.None);
        for (var i = 0; i < list.Count; i++)
        {
            Assert.True(_tiny.LastAlone(list[i].Intervention).AsSpan().SequenceEqual(got[i]), list[i].Intervention.Name);
            Assert.True(list[i].Reaches != plain.AsSpan().SequenceEqual(got[i]), list[i].Intervention.Name);
        }
    }

    /// <summary>
    /// The last position of the last layer reads keys and values of earlier ones, so what these are computed from reaches the output.
    /// </summary>
    private static bool IsReadByLaterPositions(Site site) => site switch
    {
        Site.ResidPre or Site.KeyProj or Site.Key or Site.Value => true,
        Site.QueryProj or Site.Query or Site.AttnScores or Site.AttnPattern or Site.HeadOut or Site.AttnOut or Site.ResidMid
            or Site.NeuronOut or Site.MlpOut or Site.ResidPost => false,
        _ => throw new ArgumentOutOfRangeException(nameof(site), site, "say here whether other positions read it"),
    };

    /// <summary>An edit that sets the site of one position: of one head where the site has heads.</summary>
    private Edit Replaced(Site site, int layer, int at)
    {
        var edit = new Edit(site, layer, Operation.Set) { Positions = Positions.Of(at), Heads = Exchange.HasHeads(site) ? [1] : null };
        if (site == Site.AttnScores) return edit with { Keys = Positions.Of(3) };
        // All attention to the first key: a row of probabilities for every key of the prompt.
        if (site == Site.AttnPattern) return edit with { Rows = new DonorRows([1f, .. new float[Last]], 1) };
        var width = edit.Heads is null ? Shape.Width(site) : Shape.HeadSize;
        return edit with { Vector = [.. Enumerable.Range(0, width).Select(i => MathF.Cos(i))] };
    }

    /// <summary>KL(P || P_condition): the run without the intervention comes first. P = (3/4, 1/4), P_condition = (1/2, 1/2).</summary>
    [Fact]
    public void TheDivergenceOfARow_IsFromTheUneditedRun()
    {
        var entities = new AnswerEntities(0, 1, [0], [1]);
        float[] plain = [MathF.Log(3), 0], edited = [5, 5];
        Assert.Equal(0.75 * Math.Log(1.5) + 0.25 * Math.Log(0.5), SampleRunner.Measure(edited, entities, plain).Divergence, 1e-6);
        Assert.Equal(0.5 * Math.Log(0.5 / 0.75) + 0.5 * Math.Log(0.5 / 0.25),
            SampleRunner.Measure(plain, entities, edited).Divergence, 1e-6);
    }
}
