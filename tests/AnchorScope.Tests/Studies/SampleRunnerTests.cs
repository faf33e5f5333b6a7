using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Readouts;
using AnchorScope.Studies;
using AnchorScope.Tensors;

namespace AnchorScope.Tests.Studies;

/// <summary>The layer curves of a row, read off the residual stream again.</summary>
public sealed class SampleRunnerTests : IDisposable
{
    private static readonly DiagnosisOptions Options =
        new() { Model = Fixtures.Grown("relay"), Data = Fixtures.Conflicts, Windows = [3], Draws = 0, Gains = [2] };

    private readonly Arena _arena = new();
    private readonly Team _team = new(1);

    private Compute Compute => new(_arena, _team);

    [Fact]
    public void Curves_AreTheLensAtTheirOwnPositionsAndPlaces()
    {
        using var model = VisionLanguageModel.Open(Options.Model);
        var (shape, layout) = (model.Decoder.Shape, PromptLayout.Beside(Fixtures.Conflicts));
        var sample = ConflictSet.Load(Path.Combine(Fixtures.Conflicts, "test.jsonl"), 1).Samples[0];
        var session = model.Engine.On(Compute);
        var prompts = new ConflictPrompts(model, layout, session);
        var replacements = new Replacements(model, prompts, null, [], 0, session);
        double[] scores = [.. Enumerable.Range(0, shape.Layers * shape.Heads)];
        var plan = new PhasePlan(Heads: new HeadPlan(scores, scores, scores, shape.Layers, shape.Heads, Options));
        var runner = new SampleRunner(model, prompts, Options, new DiagnosisConditions(Options, shape), replacements, 1, session);
        var rows = runner.Run(sample, Phase.Test, plan, CancellationToken.None);
        foreach (var (run, row) in sample.Runs.Zip(rows))
        {
            var prompt = replacements.PromptOf(run);
            var entities = AnswerEntities.Of(run, model.Tokenizer, out _)!;
            var anchors = prompt.Union(SpanKind.Instruction);
            int[] watched = [.. anchors, prompt.Length - 1];
            using var baseline = model.Engine.On(Compute).Record(prompt,
                new RecordOptions { Sites = [Site.ResidMid, Site.ResidPost], Positions = [.. watched] });
            for (var l = 0; l < shape.Layers; l++)
            {
                foreach (var (site, name, at) in new[] { (Site.ResidMid, "_mid", l), (Site.ResidPost, "", l + 1) })
                {
                    // [instruction, then the last position][vocabulary]
                    float[][] logits = [.. LogitLens.Logits(model.Engine.On(Compute), baseline.Trace![site, l])
                        .Chunk(model.Decoder.VocabularySize)];
                    double Phi(IReadOnlyList<int> forms, float[] position) => forms.Max(f => position[f]);
                    double Top2(IReadOnlyList<int> forms) => logits[..^1].Select(p => Phi(forms, p)).OrderDescending().Take(2).Average();
                    double Last(IReadOnlyList<int> forms) => Phi(forms, logits[^1]);
                    var (own, other) = (entities.FollowingForms, entities.CompetingForms);
                    Assert.Equal(Top2(own) - Top2(other), row.Curves["margin_anchor" + name][at], 1e-5);
                    Assert.Equal(Last(own) - Last(other), row.Curves["margin_last" + name][at], 1e-5);
                }
            }
            Assert.Equal(row.Outcomes["baseline"].Margin, row.Curves["margin_last"][^1], 1e-4);
        }
    }

    public void Dispose()
    {
        _team.Dispose();
        _arena.Dispose();
    }
}
