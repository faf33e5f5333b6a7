using System.Globalization;
using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>A checkpoint of a series.</summary>
/// <param name="Folder">Path of its folder.</param>
/// <param name="Name">Name of its folder.</param>
/// <param name="Step">First number in the name.</param>
/// <param name="Stage">The part of the name after the number, or "".</param>
internal sealed record SeriesCheckpoint(string Folder, string Name, int Step, string Stage)
{
    /// <summary>
    /// The checkpoints in <paramref name="folder"/>, ordered by step: those written by <c>ascope train --series</c> ("000300-lower"), or
    /// any folders with a number in their names.
    /// </summary>
    /// <exception cref="InputException">There is none, or a folder is not a checkpoint.</exception>
    public static IReadOnlyList<SeriesCheckpoint> In(string folder)
    {
        if (!Directory.Exists(folder)) throw new InputException($"{folder}: there is no such folder of checkpoints");
        // A hidden folder is a checkpoint that is being written.
        var found = Directory.EnumerateDirectories(folder).Where(d => Path.GetFileName(d)[0] != '.').Select(Of).OrderBy(c => c.Step).ThenBy(c => c.Name, StringComparer.Ordinal).ToList();
        return found.Count > 0 ? found : throw InputException.At(folder, "folders", "checkpoints with their step in their names, as ascope train --series keeps them", "none");
    }

    private static SeriesCheckpoint Of(string folder)
    {
        var name = Path.GetFileName(folder);
        var digits = new string([.. name.SkipWhile(c => !char.IsAsciiDigit(c)).TakeWhile(char.IsAsciiDigit)]);
        if (!int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var step)) throw InputException.At(folder, "name", "one with the number of the step in it", name);
        if (!File.Exists(Path.Combine(folder, "config.json"))) throw InputException.At(folder, "config.json", "a checkpoint", "none");
        return new SeriesCheckpoint(folder, name, step, name[(name.IndexOf(digits, StringComparison.Ordinal) + digits.Length)..].Trim('-', '_', '.'));
    }
}

/// <summary>The numbers of one checkpoint's diagnosis that a series reports.</summary>
/// <param name="Checkpoint">Name of its folder, and of the folder of its diagnosis.</param>
/// <param name="Argmax">MFR by arg-max.</param>
/// <param name="Larger">MFR by the larger of the two logits.</param>
/// <param name="Ldar">Highest LDAR at the instruction over the layers.</param>
/// <param name="Blocked">MFR with the best 5 % of heads blocked.</param>
/// <param name="Random">MFR with the same number of random heads blocked; null without draws.</param>
/// <param name="ShareOfBest">Share of the sum of positive scores in the best 5 %.</param>
/// <param name="HeadsForHalf">Smallest number of heads with half of that sum.</param>
/// <param name="Best">The best heads, at most five.</param>
/// <param name="AllQueries">Share of pairs that give the receiver's own other answer when the queries of all heads are taken from the other
/// instruction.</param>
/// <param name="Sets">The arbiters and carriers that the searches selected.</param>
internal sealed record SeriesPoint(
    string Checkpoint, int Step, string Stage, string Sha256, int Layers, int Heads, ByInstruction Argmax, ByInstruction Larger, Estimate Ldar, RouteFinding Route,
    ByInstruction Blocked, ByInstruction? Random, double ShareOfBest, int HeadsForHalf, IReadOnlyList<HeadId> Best,
    Estimate AllQueries, IReadOnlyList<SeriesSet> Sets)
{
    /// <summary>The set with this name.</summary>
    public SeriesSet Set(string name) => Sets.First(s => s.Name == name);

    /// <summary>The numbers of <paramref name="found"/> that a series reports.</summary>
    public static SeriesPoint Of(SeriesCheckpoint checkpoint, Diagnosis found)
    {
        var blocked = found.Blocking.First(b => b.Name == HeadPlan.Tested);
        var scores = found.Heads.All.SelectMany(layer => layer).ToList();
        return new SeriesPoint(
            checkpoint.Name, checkpoint.Step, checkpoint.Stage, found.Model.Sha256, found.Model.Layers, found.Model.Heads, found.Following[0].Argmax, found.Following[0].Larger,
            found.Layers.LdarAnchor.Select(l => l.All).MaxBy(l => l.Mean), found.Route, blocked.Argmax, blocked.Random?.Argmax,
            HeadRanking.ShareOfPositive(scores, found.Heads.Count), Enumerable.Range(1, scores.Count).First(n => n == scores.Count || HeadRanking.ShareOfPositive(scores, n) >= 0.5),
            [.. found.Heads.Ranked.Take(5).Select(h => new HeadId(h.Layer, h.Head))],
            found.Interchange.AllQueries.Switched,
            [.. found.Interchange.Sets.Select(s => new SeriesSet(s.Name, s.Heads, s.Found, s.Aim))]);
    }
}

/// <summary>A searched set in one checkpoint.</summary>
/// <param name="Name">"arbiters", "decision_carriers" or "choice_carriers".</param>
/// <param name="Found">Whether the diagnosis confirms it on the test split.</param>
/// <param name="Switched">Share of the test pairs that it switches to the answer that was searched for.</param>
internal sealed record SeriesSet(string Name, IReadOnlyList<HeadId> Heads, bool Found, Estimate Switched);

/// <summary>The numbers of a diagnosis over the course of training: the content of series.json.</summary>
internal sealed record TrainingSeries(int Schema, string Tool, IReadOnlyList<SetFacts> Data, IReadOnlyDictionary<string, string> Variants, ulong Seed, IReadOnlyList<SeriesPoint> Points)
{
    /// <summary>What all diagnoses of a series have in common: the identity of the first one without its model.</summary>
    public static RunIdentity IdentityOf(DiagnosisStudy first) => first.Identity.WithoutModel();
}
