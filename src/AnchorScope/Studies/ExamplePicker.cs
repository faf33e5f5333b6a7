using System.Globalization;
using AnchorScope.Conflicts;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>Picks conflicts that show the effect of interventions, by fixed rules and in the order of the set, never by hand.</summary>
internal static class ExamplePicker
{
    public static IReadOnlyList<ExampleConflict> Pick(MeasuredSet test, HeadPlan plan, DiagnosisOptions options,
        Tokenizer tokenizer, string folder)
    {
        var group = plan.Amplified[0];
        var gains = options.Gains.Select(
            f => (Name: $"{Share(group)} amplified x{f.ToString("R", CultureInfo.InvariantCulture)}", Key: ConditionId.Gain(group, f)))
            .ToList();
        var shown = gains[gains.Count / 2];
        var blocked = ConditionId.Block(HeadPlan.Tested);
        var conditions = new List<(string Name, ConditionId Key)>
        {
            ("no intervention", ConditionId.Baseline),
            ("image → instruction cut", ConditionId.KnockoutAll("image->instruction")),
            ("text context → instruction cut", ConditionId.KnockoutAll("text_context->instruction")),
            ($"{Share(HeadPlan.Tested)} blocked", blocked),
            shown,
        };
        var samples = test.Runs.GroupBy(r => r.Sample).Select(g => g.ToList()).ToList();
        bool Follows(List<MeasuredRun> runs) => runs.TrueForAll(r => !r.Failed);
        bool Loses(List<MeasuredRun> runs) => runs.TrueForAll(r => r.Follows(blocked) == 0);
        bool Repaired(List<MeasuredRun> runs) => runs.Exists(r => r.Failed && r.Follows(shown.Key) == 1);
        var rules = new (string Why, Func<List<MeasuredRun>, bool> Rule)[]
        {
            ("follows both instructions; neither once the heads are blocked", r => Follows(r) && Loses(r)),
            ("follows both instructions in spite of the block", r => Follows(r) && r.TrueForAll(x => x.Follows(blocked) == 1)),
            ("fails under an instruction, and amplification repairs it", Repaired),
            ("fails under an instruction, and amplification does not repair it", r => r.Exists(x => x.Failed) && !Repaired(r)),
        };
        var picked = new List<(string Why, List<MeasuredRun> Runs)>();
        foreach (var (why, rule) in rules)
        {
            // Prefers a category that has not been shown.
            var fits = samples.Where(s => rule(s) && !picked.Exists(p => p.Runs == s)).ToList();
            var best = fits.Find(s => !picked.Exists(p => p.Runs[0].Run.Sample.Category == s[0].Run.Sample.Category))
                ?? fits.FirstOrDefault();
            if (best is not null) picked.Add((why, best));
        }
        return [.. picked.Select(p => Example(p.Why, p.Runs, conditions, tokenizer, folder))];
    }

    /// <summary>Description of the set.</summary>
    public static string Share(HeadSetId set) => $"{set.Shown} of heads";

    private static ExampleConflict Example(string why, List<MeasuredRun> runs, List<(string Name, ConditionId Key)> conditions,
        Tokenizer tokenizer, string folder)
    {
        var sample = runs[0].Run.Sample;
        return new ExampleConflict(
            sample.Id, why, sample.Category, sample.Image is null ? null : Path.GetRelativePath(folder, sample.Image).Replace('\\', '/'),
            sample.TextContext, sample.Question,
            [.. runs.Select(r => new ExampleRun(
                r.Run.Instruction == Modality.Vision ? "vision" : "text", sample.Instructions[r.Run.Instruction],
                r.Run.Following[0], r.Run.Competing[0],
                [.. conditions.Where(c => r.Has(c.Key)).Select(c => new ExampleAnswer(
                    c.Name, tokenizer.Decode([r.Result.Outcomes[c.Key].ArgMax]).Trim(),
                    r.Follows(c.Key) == 1 ? "following" : r.Competes(c.Key) == 1 ? "competing" : "neither"))]))]);
    }
}
