using AnchorScope.Metrics;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies.Interchange;

using Exchange = AnchorScope.Studies.Exchange;

/// <summary>Where the choice is made, and estimates of query exchanges: on wired models, compared with the exact effects.</summary>
public sealed class PlaceAndGradientTests : IDisposable
{
    private static readonly string Data = Path.Combine(Fixtures.Root, "data", "wired-conflicts");

    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    private static string Model(string name) => Path.Combine(Fixtures.Root, "models", name);

    [Theory]
    [InlineData("wired-arbiter", "instruction", new[] { "2.1" }, false)]
    [InlineData("wired-redundant", "instruction", new[] { "1.2", "2.0" }, false)]
    [InlineData("wired-direct", "behind", new[] { "2.2" }, true)]
    [InlineData("wired-mlp", "neither", new string[0], null)]
    public void APlantedModel_ChoosesWhereItWasPlanted_AndItsArbitersHaveTheLargestEstimates(string model, string where,
        string[] arbiters, bool? passesChoiceOn)
    {
        using var study = new DiagnosisStudy(
            new DiagnosisOptions { Model = Model(model), Data = Data, Limit = 24, Windows = [3], Gains = [2], Draws = 3 });
        using var store = ResultStore.Open(_temp.File("results.jsonl"), resume: false);
        var found = study.Reduce(store, study.Run(store)).Interchange;
        Assert.Equal(where, found.Place.Where);
        Assert.Equal(
            arbiters, found.ByGradient.Heads.Take(arbiters.Length).Select(h => $"{h.Layer}.{h.Head}").Order(StringComparer.Ordinal));
        // Exchanged together, as many as there are arbiters, they switch every pair, and one head less none.
        if (arbiters.Length > 0) Assert.Equal(1, found.ByGradient.Steps[arbiters.Length - 1].Test.Switched.Mean);
        if (arbiters.Length > 1) Assert.Equal(0, found.ByGradient.Steps[arbiters.Length - 2].Test.Switched.Mean);
        if (passesChoiceOn is not { } choice) return;
        // What the instruction passes on: the content that was chosen there, or only the side to follow.
        var crossed = found.Place.PassedOnCrossed;
        Assert.Equal((choice ? 1 : 0, choice ? 0 : 1), (crossed.OwnOther.Mean, crossed.Switched.Mean));
    }

    [Fact]
    public void EstimatesOfAllHeads_SumToWhatExchangingAllQueriesTakes()
    {
        using var study = new DiagnosisStudy(new DiagnosisOptions { Model = Fixtures.Organism, Data = Fixtures.Conflicts, Limit = 12 });
        using var arena = new Arena();
        using var team = new Team(1);
        var session = study.Model.Engine.On(new Compute(arena, team));
        var spans = DiagnosisConditions.SpansOf(study.Options.Variants);
        var runner = new InterchangeRunner(study.Model, new ConflictPrompts(study.Model, study.Data.Layout, session),
            DonorFinder.In(study.Data.Rank, study.Model.Tokenizer, 0), spans, SpanAlignment.Equal, session);
        var shape = study.Model.Decoder.Shape;
        var exchange = new Exchange(
            DonorFactor.Instruction, HeadContent.Query,
            [.. Enumerable.Range(0, shape.Layers).SelectMany(l => Enumerable.Range(0, shape.Heads).Select(h => (l, h)))]);
        var pairs = 0;
        foreach (var sample in study.Data.Rank.Samples.Take(3))
        {
            // Integrated gradients are complete: with many points on the path nothing of the difference is left.
            foreach (var (attributed, exchanged) in runner.Attribute(sample,
                steps: 200).Zip(runner.Run(sample, [exchange], CancellationToken.None)))
            {
                if (!attributed.Curves.TryGetValue(InterchangeRunner.Attributed, out var heads)) continue;
                var plain = exchanged.Outcomes["baseline"].Margin;
                Assert.Equal(plain, attributed.Outcomes["baseline"].Margin);
                Assert.Equal(plain - exchanged.Outcomes[exchange.Condition].Margin, heads.Sum(), 0.02 * Math.Abs(plain));
                pairs++;
            }
        }
        Assert.InRange(pairs, 3, 6);
    }
}
