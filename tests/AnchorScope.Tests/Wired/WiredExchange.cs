using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Wired;

namespace AnchorScope.Tests.Wired;

/// <summary>
/// Runs of a wired model and their donors: the same sample with the instruction to trust the other modality, another sample with that
/// instruction, and the same sample with another question, picture or note. Activations are exchanged at the positions from the question to
/// the end.
/// </summary>
internal sealed class WiredExchange
{
    private static readonly Site[] Recorded = [Site.Query, Site.HeadOut];

    private readonly WiredRuns _runs;
    private readonly List<Case> _cases = [];

    public WiredExchange(WiredRuns runs, int samples)
    {
        _runs = runs;
        var all = WiredRuns.Samples("test");
        foreach (var own in all.Take(samples))
        {
            // Another sample with the same question, whose four values are none of these.
            var other = all.First(
                s => s.Category == own.Category && !Shown(s).Concat(Noted(s)).Intersect(Shown(own).Concat(Noted(own))).Any());
            var asked = own.Question.Replace(own.Category, own.Category == "sky" ? "ground" : "sky", StringComparison.Ordinal);
            foreach (var told in new[] { Modality.Vision, Modality.Text })
            {
                var contrary = told == Modality.Vision ? Modality.Text : Modality.Vision;
                _cases.Add(new Case(
                    told, told == Modality.Vision ? Noted(own) : Shown(own), Of(own, told), Of(own, contrary), Of(other, contrary),
                    Of(own with { Question = asked }, told),
                    Of(own with { Image = other.Image }, told), Of(own with { TextContext = other.TextContext }, told)));
            }
        }
        var flat = _cases.SelectMany(c => c.All).ToList();
        var answers = runs.Answers([.. flat.Select(r => (r.Prompt, Intervention.None))], [.. flat.Select(r => r.Trace)]);
        foreach (var (run, answer) in flat.Zip(answers)) run.Answer = answer;
    }

    /// <summary>Share of runs whose answer becomes the wanted one when the heads get a site from the donor.</summary>
    public double Share(IReadOnlyList<(int Layer, int Head)> heads, Site site, Func<Case, Recording> donor,
        Func<Case, Recording> wanted, Modality? told = null)
    {
        var cases = _cases.Where(c => told is null || c.Told == told).ToList();
        var answers = _runs.Answers([.. cases.Select(c => (c.Own.Prompt, Exchange(heads, site, donor(c), c.Own)))]);
        return cases.Zip(answers).Average(pair => pair.Second == wanted(pair.First).Answer ? 1.0 : 0.0);
    }

    /// <summary>Answers with the heads' outputs at 0, as shares: the own one, a value of the other modality, "unsure".</summary>
    public (double Own, double Other, double Unsure) Blocked(IReadOnlyList<(int Layer, int Head)> heads, Modality? told = null)
    {
        var cases = _cases.Where(c => told is null || c.Told == told).ToList();
        var answers = _runs.Answers(
            [.. cases.Select(c => (c.Own.Prompt, Intervention.HeadGain("blocked", heads, 0, Positions.Of(From(c.Own.Prompt)))))]);
        double Rate(Func<Case, string, bool> counts) => cases.Zip(answers).Average(pair => counts(pair.First, pair.Second) ? 1.0 : 0.0);
        return (Rate((c, a) => a == c.Own.Answer), Rate((c, a) => c.OtherValues.Contains(a)), Rate((_, a) => a == "unsure"));
    }

    private Recording Of(ConflictSample sample, Modality told)
    {
        var prompt = _runs.Prompt(new ConflictRun(sample, told));
        return new Recording(prompt, new Trace(Recorded));
    }

    private Intervention Exchange(IReadOnlyList<(int Layer, int Head)> heads, Site site, Recording donor, Recording own)
    {
        var (size, width) = (_runs.Shape.HeadSize, _runs.Shape.Width(site));
        return new Intervention("exchange",
            [.. heads.SelectMany(h => From(own.Prompt).Select(position => new Edit(site, h.Layer, Operation.Set)
            {
                Heads = [h.Head], Positions = Positions.Of(position),
                Vector = donor.Trace[site, h.Layer].AsSpan(position * width + h.Head * size, size).ToArray(),
            }))]);
    }

    private static IEnumerable<int> From(Prompt prompt) =>
        Enumerable.Range(prompt.Span(SpanKind.Question)[0], prompt.Length - prompt.Span(SpanKind.Question)[0]);

    private static string[] Shown(ConflictSample sample) => Path.GetFileNameWithoutExtension(sample.Image!).Split('-');

    private static string[] Noted(ConflictSample sample) => [.. sample.TextContext!.Split(' ').Where(WiredVocabulary.Values.Contains)];

    /// <summary>A run, its queries and head outputs, and what it answers.</summary>
    internal sealed record Recording(Prompt Prompt, Trace Trace)
    {
        public string Answer { get; set; } = "";
    }

    /// <summary>A run and its donors.</summary>
    /// <param name="OtherValues">What the other modality says of both halves.</param>
    /// <param name="Contrary">The same sample under the other instruction.</param>
    /// <param name="Stranger">Another picture and note under the other instruction.</param>
    internal sealed record Case(Modality Told, string[] OtherValues, Recording Own, Recording Contrary, Recording Stranger,
        Recording Question, Recording Picture, Recording Note)
    {
        public IEnumerable<Recording> All => [Own, Contrary, Stranger, Question, Picture, Note];
    }
}
