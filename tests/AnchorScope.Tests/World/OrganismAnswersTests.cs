using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.World;

namespace AnchorScope.Tests.World;

/// <summary>
/// The first organism was trained on samples of another program. That it also answers samples of this program shows that both generate the
/// same world.
/// </summary>
public sealed class OrganismAnswersTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void TheOrganism_FollowsInstructionsInThisWorld()
    {
        const int Samples = 200;
        var folder = _temp.File("data");
        WorldFolder.Write(folder, new WorldFolderOptions { Samples = new Dictionary<WorldSplit, int> { [WorldSplit.Test] = Samples } });
        var set = ConflictSet.Load(Path.Combine(folder, "test.jsonl"));
        using var model = VisionLanguageModel.Open(Fixtures.Organism);
        using var arena = new Arena();
        using var team = new Team(1);
        var runs = Runs(model, set, PromptLayout.Beside(folder), new Compute(arena, team)).ToLookup(r => r.Instruction);
        foreach (var (modality, bundled) in new[] { (Modality.Vision, 0.90), (Modality.Text, 0.97) })
        {
            Assert.Equal(Samples, runs[modality].Count());
            Assert.InRange(runs[modality].Average(r => r.Larger), 0.9, 1);
            // As often as in the bundled test set, which the other program drew.
            Frequency.Is($"{modality}", bundled, runs[modality].Count(r => r.ArgMax == 1), Samples);
        }
    }

    private static IEnumerable<(Modality Instruction, double ArgMax, double Larger)> Runs(VisionLanguageModel model, ConflictSet set,
        PromptLayout layout, Compute compute)
    {
        foreach (var sample in set.Samples)
        {
            var pixels = model.Preprocess([Picture.Load(sample.Image!)]);
            var features = model.Engine.On(compute).Features(pixels);
            foreach (var run in sample.Runs)
            {
                var answers = AnswerEntities.Of(run, model.Tokenizer, out _)!;
                using var baseline = model.Engine.On(compute).Record(ConflictPrompt.Build(model, run, layout, pixels, features));
                var logits = baseline.LastLogits;
                yield return (run.Instruction, ModalityFollowing.ByArgMax(Array.IndexOf(logits, logits.Max()), answers.FollowingForms),
                    ModalityFollowing.ByLarger(logits[answers.Following] - logits[answers.Competing]));
            }
        }
    }

    public void Dispose() => _temp.Dispose();
}
