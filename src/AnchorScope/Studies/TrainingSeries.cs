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
        var found = Directory.EnumerateDirectories(folder).Where(d => Path.GetFileName(d)[0] != '.').Select(Of).OrderBy(c => c.Step)
            .ThenBy(c => c.Name, StringComparer.Ordinal).ToList();
        return found.Count > 0
            ? found
            : throw InputException.At(folder, "folders", "checkpoints with their step in their names, as ascope train --series keeps them",
                "none");
    }

    private static SeriesCheckpoint Of(string folder)
    {
        var name = Path.GetFileName(folder);
        var digits = new string([.. name.SkipWhile(c => !char.IsAsciiDigit(c)).TakeWhile(char.IsAsciiDigit)]);
        if (!int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var step))
            throw InputException.At(folder, "name", "one with the number of the step in it", name);
        if (!File.Exists(Path.Combine(folder, "config.json"))) throw InputException.At(folder, "config.json", "a checkpoint", "none");
        return new SeriesCheckpoint(folder, name, step,
            name[(name.IndexOf(digits, StringComparison.Ordinal) + digits.Length)..].Trim('-', '_', '.'));
    }
}

/// <summary>The numbers of one checkpoint's diagnosis that a series reports.</summary>
internal sealed record SeriesPoint
{
    /// <summary>Name of its folder, and of the folder of its diagnosis.</summary>
    public required string Checkpoint { get; init; }

    public required int Step { get; init; }

    public required string Stage { get; init; }

    public required string Sha256 { get; init; }

    public required int Layers { get; init; }

    public required int Heads { get; init; }

    /// <summary>MFR by arg-max.</summary>
    public required ByInstruction Argmax { get; init; }

    /// <summary>MFR by the larger of the two logits.</summary>
    public required ByInstruction Larger { get; init; }

    /// <summary>Highest LDAR at the instruction over the layers.</summary>
    public required Estimate Ldar { get; init; }

    public required RouteFinding Route { get; init; }

    /// <summary>MFR with the best 5 % of heads blocked.</summary>
    public required ByInstruction Blocked { get; init; }

    /// <summary>MFR with the same number of random heads blocked; null without draws.</summary>
    public required ByInstruction? Random { get; init; }

    /// <summary>Share of the sum of positive scores in the best 5 %.</summary>
    public required double ShareOfBest { get; init; }

    /// <summary>Smallest number of heads with half of that sum.</summary>
    public required int HeadsForHalf { get; init; }

    /// <summary>The best heads, at most five.</summary>
    public required IReadOnlyList<HeadId> Best { get; init; }

    /// <summary>
    /// Share of pairs that give the receiver's own other answer when the queries of all heads are taken from the other instruction.
    /// </summary>
    public required Estimate AllQueries { get; init; }

    /// <summary>The arbiters and carriers that the searches selected.</summary>
    public required IReadOnlyList<SeriesSet> Sets { get; init; }

    /// <summary>The set with this name.</summary>
    public SeriesSet Set(string name) => Sets.First(s => s.Name == name);

    /// <summary>The numbers of <paramref name="found"/> that a series reports.</summary>
    public static SeriesPoint Of(SeriesCheckpoint checkpoint, Diagnosis found)
    {
        var blocked = found.Blocking.First(b => b.Name == HeadPlan.Tested);
        var scores = found.Heads.All.SelectMany(layer => layer).ToList();
        return new SeriesPoint
        {
            Checkpoint = checkpoint.Name,
            Step = checkpoint.Step,
            Stage = checkpoint.Stage,
            Sha256 = found.Model.Sha256,
            Layers = found.Model.Layers,
            Heads = found.Model.Heads,
            Argmax = found.Following[0].Argmax,
            Larger = found.Following[0].Larger,
            Ldar = found.Layers.LdarAnchor.Select(l => l.All).MaxBy(l => l.Mean),
            Route = found.Route,
            Blocked = blocked.Argmax,
            Random = blocked.Random?.Argmax,
            ShareOfBest = HeadRanking.ShareOfPositive(scores, found.Heads.Count),
            HeadsForHalf = Enumerable.Range(1, scores.Count).First(n => n == scores.Count || HeadRanking.ShareOfPositive(scores, n) >= 0.5),
            Best = [.. found.Heads.Ranked.Take(5).Select(h => new HeadId(h.Layer, h.Head))],
            AllQueries = found.Interchange.AllQueries.Switched,
            Sets = [.. found.Interchange.Sets.Select(s => new SeriesSet(s.Name, s.Heads, s.Found, s.Aim))],
        };
    }
}

/// <summary>A searched set in one checkpoint.</summary>
/// <param name="Name">"arbiters", "decision_carriers" or "choice_carriers".</param>
/// <param name="Found">Whether the diagnosis confirms it on the test split.</param>
/// <param name="Switched">Share of the test pairs that it switches to the answer that was searched for.</param>
internal sealed record SeriesSet(string Name, IReadOnlyList<HeadId> Heads, bool Found, Estimate Switched);

/// <summary>The numbers of a diagnosis over the course of training: the content of series.json.</summary>
internal sealed record TrainingSeries(int Schema, string Tool, IReadOnlyList<SetFacts> Data, IReadOnlyDictionary<string, string> Variants,
    ulong Seed, IReadOnlyList<SeriesPoint> Points)
{
    /// <summary>What all diagnoses of a series have in common: the identity of the first one without its model.</summary>
    public static RunIdentity IdentityOf(DiagnosisStudy first) => first.Identity.WithoutModel();
}
